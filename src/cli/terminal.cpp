#include "cli/terminal.h"

#include "base/error.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>

namespace sinew::cli {
namespace {

constexpr int kDefaultWidth = 100;

// Columns that UTF-8 text takes, counting a code point as one.
size_t columns(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
  }));
}

std::string padded(const std::string& cell, size_t width, bool right) {
  const std::string blanks(width - std::min(width, columns(cell)), ' ');
  return right ? blanks + cell : cell + blanks;
}

std::string without_trailing_blanks(std::string line) {
  line.erase(line.find_last_not_of(' ') + 1);
  return line;
}

}  // namespace

bool has_colour(std::FILE* stream) {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): nothing in the process changes the environment
  const char* no_colour = std::getenv("NO_COLOR");
  return isatty(fileno(stream)) != 0 && (no_colour == nullptr || *no_colour == '\0');
}

int terminal_width(std::FILE* stream) {
  winsize size{};
  if (isatty(fileno(stream)) != 0 && ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 &&
      size.ws_col > 0) {
    return size.ws_col;
  }
  return kDefaultWidth;
}

std::string bytes_text(size_t bytes) {
  constexpr std::array kUnits{"B", "kB", "MB", "GB", "TB", "PB"};
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 999.5 && unit + 1 < kUnits.size()) {
    value /= 1000;
    ++unit;
  }
  const int decimals = unit == 0 || value >= 99.95 ? 0 : (value >= 9.995 ? 1 : 2);
  return fmt::format("{:.{}f} {}", value, decimals, kUnits[unit]);
}

Table::Table(std::vector<std::string> header, std::vector<bool> right_aligned)
    : header_(std::move(header)), right_aligned_(std::move(right_aligned)) {
  right_aligned_.resize(header_.size());
}

void Table::add(std::vector<std::string> row) {
  row.resize(header_.size());
  rows_.push_back(std::move(row));
}

std::string Table::text(bool colour) const {
  std::vector<size_t> widths;
  for (size_t i = 0; i < header_.size(); ++i) {
    size_t width = columns(header_[i]);
    for (const std::vector<std::string>& row : rows_) {
      width = std::max(width, columns(row[i]));
    }
    widths.push_back(width);
  }
  const auto line = [&](const std::vector<std::string>& cells) {
    std::string out;
    for (size_t i = 0; i < cells.size(); ++i) {
      out += (i == 0 ? "" : "  ") + padded(cells[i], widths[i], right_aligned_[i]);
    }
    return without_trailing_blanks(std::move(out));
  };
  std::string out;
  if (std::any_of(header_.begin(), header_.end(), [](const auto& cell) { return !cell.empty(); })) {
    size_t total = 0;
    for (const size_t width : widths) {
      total += width + 2;
    }
    out += (colour ? "\x1b[1m" : "") + line(header_) + (colour ? "\x1b[0m\n" : "\n");
    out += std::string(std::max<size_t>(total, 2) - 2, '-') + "\n";
  }
  for (const std::vector<std::string>& row : rows_) {
    out += line(row) + "\n";
  }
  return out;
}

std::string listing(const std::vector<std::pair<std::string, std::string>>& rows) {
  Table table({"", ""});
  for (const auto& [name, value] : rows) {
    table.add({name, value});
  }
  return table.text();
}

ProgressBar::ProgressBar(bool quiet) : is_shown_(!quiet && isatty(fileno(stderr)) != 0) {}

ProgressBar::~ProgressBar() {
  clear();
}

void ProgressBar::update(std::string_view label, int64_t done, int64_t total) {
  if (!is_shown_) {
    return;
  }
  const int percent = total > 0 ? static_cast<int>(100 * done / total) : 100;
  if (percent == last_percent_ && label == last_label_) {
    return;
  }
  last_percent_ = percent;
  last_label_ = label;
  is_drawn_ = true;
  const std::string line = progress_line(label, done, total, terminal_width(stderr) - 1);
  std::fputs(("\r\x1b[K" + line).c_str(), stderr);
  std::fflush(stderr);
}

void ProgressBar::clear() {
  if (is_drawn_) {
    std::fputs("\r\x1b[K", stderr);
    std::fflush(stderr);
    is_drawn_ = false;
  }
}

std::string progress_line(std::string_view label, int64_t done, int64_t total, int width) {
  const double share =
      total > 0 ? std::clamp(static_cast<double>(done) / static_cast<double>(total), 0.0, 1.0) : 1;
  const std::string percent = fmt::format("{:3.0f} %", share * 100);
  const int room = width - static_cast<int>(columns(label) + percent.size()) - 6;
  if (room < 5) {
    return std::string(label.substr(0, static_cast<size_t>(std::max(0, width))));
  }
  const int cells = std::min(room, 40);
  const int filled = static_cast<int>(share * cells);
  return fmt::format("{}  [{}{}]  {}", label, std::string(static_cast<size_t>(filled), '#'),
                     std::string(static_cast<size_t>(cells - filled), '.'), percent);
}

Status print_result(std::string_view text) {
  const bool is_taken =
      std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  return is_taken ? Status() : internal_error("stdout cannot be written");
}

}  // namespace sinew::cli
