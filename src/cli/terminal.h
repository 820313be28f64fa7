// What people see: tables on stdout, progress on stderr. Bars and colours only on a terminal and
// never with NO_COLOR or --quiet.
#pragma once

#include "sinew/result.h"

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

namespace sinew::cli {

// Whether escape sequences may go to the stream: it is a terminal and NO_COLOR is unset.
bool has_colour(std::FILE* stream);

// Columns of the stream's terminal; 100 when it is none.
int terminal_width(std::FILE* stream);

// "12.3 MB": three digits, powers of 1000.
std::string bytes_text(size_t bytes);

// Rows of aligned columns under a header. Numbers (columns named by `right_aligned`) end at the
// same place.
class Table {
 public:
  explicit Table(std::vector<std::string> header, std::vector<bool> right_aligned = {});

  // Cells beyond the header are dropped, missing ones are empty.
  void add(std::vector<std::string> row);

  // Ends with a line break; header and rule are left out when all header cells are empty.
  std::string text(bool colour = false) const;

 private:
  std::vector<std::string> header_;
  std::vector<bool> right_aligned_;
  std::vector<std::vector<std::string>> rows_;
};

// A table's shape for "name: value" listings.
std::string listing(const std::vector<std::pair<std::string, std::string>>& rows);

// One line on stderr that is drawn over itself. Does nothing unless stderr is a terminal.
class ProgressBar {
 public:
  explicit ProgressBar(bool quiet);
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;
  ~ProgressBar();

  void update(std::string_view label, int64_t done, int64_t total);

  // Removes the line, so that log lines and results start on a clean one.
  void clear();

 private:
  bool is_shown_ = false;
  bool is_drawn_ = false;
  int last_percent_ = -1;
  std::string last_label_;
};

// "label  [#####.....]  42 %" cut to `width` columns. Pure, for tests.
std::string progress_line(std::string_view label, int64_t done, int64_t total, int width);

// Writes a result to stdout; kInternal when stdout does not take it.
Status print_result(std::string_view text);

}  // namespace sinew::cli
