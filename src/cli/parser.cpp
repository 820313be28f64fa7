#include "cli/parser.h"

#include "base/error.h"
#include "base/log.h"
#include "cli/flag_value.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <string_view>
#include <vector>

namespace sinew::cli {
namespace {

constexpr int kManyValues = 1 << 20;

std::string dashed(const std::string& name) {
  return (name.size() == 1 ? "-" : "--") + name;
}

// "--embodiment_tag=x_y" -> "--embodiment-tag=x_y"
std::string normalized(const std::string& word) {
  if (!word.starts_with("--")) {
    return word;
  }
  std::string out = word;
  std::replace(out.begin(),
               out.begin() + static_cast<std::ptrdiff_t>(
                                 out.find('=') == std::string::npos ? out.size() : out.find('=')),
               '_', '-');
  return out;
}

// CLI11's declaration of a flag: "model-path,--model-path,--checkpoint", "--json", "--x,!--no-x".
CLI::Option* declare(CLI::App& app, const Flag& flag) {
  std::string names = dashed(flag.name);
  for (const std::string& other : flag.alias_names) {
    names += "," + dashed(other);
  }
  if (flag.is_switch()) {
    return app.add_flag(names + ",!--no-" + flag.name)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  }
  if (flag.positional) {
    names = flag.name + "," + names;
  }
  CLI::Option* option = app.add_option(names);
  if (flag.is_list()) {
    return option->expected(1, kManyValues);
  }
  // Several are refused by parse_flags, in the flags' own words.
  return option->expected(1)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

std::vector<std::string> flag_names(const FlagList& flags) {
  std::vector<std::string> names;
  for (const Flag& flag : flags.flags()) {
    names.push_back(flag.name);
    names.insert(names.end(), flag.alias_names.begin(), flag.alias_names.end());
  }
  return names;
}

// CLI11 takes whatever follows a flag as its value, another flag too: that value was forgotten.
Status check_values(const FlagList& flags, std::span<const std::string> words) {
  for (size_t i = 0; i + 1 < words.size(); ++i) {
    if (!words[i].starts_with("--") || !words[i + 1].starts_with("--")) {
      continue;
    }
    const Flag* flag = flags.find(normalized(words[i]).substr(2));
    const std::string next = normalized(words[i + 1]).substr(2);
    if (flag != nullptr && !flag->is_switch() &&
        flags.find(next.substr(0, next.find('='))) != nullptr) {
      return usage_error("--{}: a value is missing, {} follows", flag->name, words[i + 1]);
    }
  }
  return {};
}

Status unexpected(const std::string& verb, const std::string& word, const FlagList& flags) {
  const std::string hint = fmt::format("`sinew {} --help` lists what it takes", verb);
  if (!word.starts_with('-')) {
    return usage_error("unexpected argument \"{}\"; {}", word, hint);
  }
  const std::string name = word.substr(
      word.find_first_not_of('-') == std::string::npos ? word.size() : word.find_first_not_of('-'));
  const std::string near = nearest_name(name.substr(0, name.find('=')), flag_names(flags));
  if (!near.empty()) {
    return usage_error("unknown flag {}; did you mean {}? {}", word, dashed(near), hint);
  }
  return usage_error("unknown flag {}; {}", word, hint);
}

// "-v, --verbose", "--dataset-path, --dataset DIR"
std::string help_names(const Flag& flag) {
  std::vector<std::string> names{dashed(flag.name)};
  for (const std::string& other : flag.alias_names) {
    names.insert(other.size() == 1 ? names.begin() : names.end(), dashed(other));
  }
  std::string text = fmt::format("  {}", fmt::join(names, ", "));
  if (!flag.is_switch()) {
    text += " " + (flag.metavar.empty() ? std::string("X") : flag.metavar);
    text += flag.is_list() ? " ..." : "";
  }
  return text;
}

// Everything there is to say about a flag, as one line.
std::string help_meaning(const Flag& flag) {
  std::string text = flag.help;
  if (flag.positional) {
    text += "; the name of the flag can be left out";
  }
  if (!flag.choice_list.empty()) {
    text += fmt::format(" [{}]", fmt::join(flag.choice_list, "|"));
  }
  const std::string value = flag_text(flag);
  if (flag.is_switch() && value == "true") {
    text += fmt::format(" (on; --no-{} turns it off)", flag.name);
  } else if (!flag.is_switch() && !value.empty()) {
    text += fmt::format(" (default {})", value);
  }
  if (flag.effect != FlagEffect::kUsed) {
    text += fmt::format(" ({}: {})",
                        flag.effect == FlagEffect::kIgnored ? "ignored" : "not in this version",
                        flag.effect_reason);
  }
  return text;
}

// A flag's lines of the help page: names on the left, the meaning wrapped on the right.
std::string help_lines(const Flag& flag) {
  constexpr size_t kColumn = 30;
  constexpr size_t kWidth = 100;
  const std::string left = help_names(flag);
  const std::string right = help_meaning(flag);
  // Wrapped at blanks, every line from kColumn on.
  std::string out = left;
  size_t column = left.size();
  if (column + 2 > kColumn) {
    out += '\n';
    column = 0;
  }
  out += std::string(kColumn - column, ' ');
  column = kColumn;
  size_t start = 0;
  while (start < right.size()) {
    const size_t end = std::min(right.find(' ', start), right.size());
    const std::string word = right.substr(start, end - start);
    if (column > kColumn && column + 1 + word.size() > kWidth) {
      out += '\n' + std::string(kColumn, ' ');
      column = kColumn;
    }
    if (column > kColumn) {
      out += ' ';
      ++column;
    }
    out += word;
    column += word.size();
    start = end + 1;
  }
  return out + "\n";
}

}  // namespace

bool asks_for_help(std::span<const std::string> words) {
  return std::any_of(words.begin(), words.end(),
                     [](const std::string& word) { return word == "--help" || word == "-h"; });
}

Status parse_flags(const std::string& verb, std::span<const std::string> words, FlagList& flags) {
  SINEW_TRY(check_values(flags, words));
  CLI::App app;
  app.set_help_flag();
  app.allow_extras();
  std::vector<CLI::Option*> options;
  std::vector<std::string> reversed;  // CLI11 takes the words from the back
  try {
    for (const Flag& flag : flags.flags()) {
      options.push_back(declare(app, flag));
    }
    std::transform(words.rbegin(), words.rend(), std::back_inserter(reversed), normalized);
    app.parse(reversed);
  } catch (const CLI::Error& error) {
    return usage_error("{}; `sinew {} --help` explains the flags", error.what(), verb);
  }
  for (const std::string& word : app.remaining()) {
    return unexpected(verb, word, flags);
  }
  for (size_t i = 0; i < options.size(); ++i) {
    Flag& flag = flags.flags()[i];
    const std::vector<std::string>& values = options[i]->results();
    if (!flag.is_list() && !flag.is_switch() && values.size() > 1) {
      return usage_error("--{} is given {} times ({}); give it once", flag.name, values.size(),
                         fmt::join(values, ", "));
    }
    if (!values.empty()) {
      SINEW_TRY(set_flag(flag, values));
    }
  }
  return {};
}

std::string help_text(const std::string& verb, const std::string& summary, const FlagList& flags) {
  std::string usage = fmt::format("usage: sinew {}", verb);
  for (const Flag& flag : flags.flags()) {
    if (flag.positional) {
      usage += " " + flag.metavar;
    }
  }
  std::string out = fmt::format("{} [flags]\n\n{}\n", usage, summary);
  std::string group;
  for (const Flag& flag : flags.flags()) {
    if (flag.group != group) {
      group = flag.group;
      out += fmt::format("\n{}:\n", group);
    }
    out += help_lines(flag);
  }
  return out;
}

Status report_effects(const FlagList& flags) {
  for (const Flag& flag : flags.flags()) {
    if (!flag.is_given || flag.effect == FlagEffect::kUsed) {
      continue;
    }
    if (flag.effect == FlagEffect::kRefused) {
      return unsupported("--{}: {}", flag.name, flag.effect_reason);
    }
    log_info("notice: --{} is ignored: {}", flag.name, flag.effect_reason);
  }
  return {};
}

}  // namespace sinew::cli
