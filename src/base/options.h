// The one place where a command-line flag is declared: a verb's options struct names each of its
// fields once (flag, help, aliases, limits), and every user of flags reads that list: the parser,
// --help, the resolved options in reports, and the test that demands an effect of every flag.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace sinew {

// Where a flag's value goes. The field's value at declaration is the default.
using FlagTarget =
    std::variant<bool*, int*, int64_t*, uint64_t*, double*, std::string*, std::optional<int64_t>*,
                 std::optional<double>*, std::vector<int64_t>*, std::vector<std::string>*>;

// What happens when a person gives the flag.
enum class FlagEffect {
  kUsed,     // its field decides something
  kIgnored,  // accepted because other tools have it; a notice says why it changes nothing
  kRefused,  // known, but this version stops and says why
};

struct Flag {
  std::string name;  // without dashes; words joined by '-'
  std::string help;
  std::string group;
  FlagTarget target;
  bool positional = false;
  bool is_given = false;  // set by the parser
  std::vector<std::string> alias_names;
  std::vector<std::string> choice_list;
  std::optional<double> minimum;
  std::string metavar;
  FlagEffect effect = FlagEffect::kUsed;
  std::string effect_reason;

  Flag& alias(std::string other) {
    alias_names.push_back(std::move(other));
    return *this;
  }

  // The only values allowed.
  Flag& choices(std::vector<std::string> values) {
    choice_list = std::move(values);
    return *this;
  }

  // Numbers, and each number of a list, may not be below this.
  Flag& at_least(double low) {
    minimum = low;
    return *this;
  }

  // The name of the value in --help ("DIR").
  Flag& value_name(std::string text) {
    metavar = std::move(text);
    return *this;
  }

  Flag& ignored(std::string reason) {
    effect = FlagEffect::kIgnored;
    effect_reason = std::move(reason);
    return *this;
  }

  Flag& refused(std::string reason) {
    effect = FlagEffect::kRefused;
    effect_reason = std::move(reason);
    return *this;
  }

  bool is_switch() const { return std::holds_alternative<bool*>(target); }

  bool is_list() const {
    return std::holds_alternative<std::vector<int64_t>*>(target) ||
           std::holds_alternative<std::vector<std::string>*>(target);
  }
};

// The flags of one verb, in the order of --help. Points into the options struct that declared them,
// which must outlive it.
class FlagList {
 public:
  // Flags added from here on belong to this heading of --help.
  void group(std::string name) { group_ = std::move(name); }

  Flag& add(std::string name, FlagTarget target, std::string help) {
    Flag flag;
    flag.name = std::move(name);
    flag.help = std::move(help);
    flag.group = group_;
    flag.target = target;
    return flags_.emplace_back(std::move(flag));
  }

  // The argument without a flag name; at most one a verb. It can be given by name as well.
  Flag& positional(std::string name, FlagTarget target, std::string help) {
    Flag& flag = add(std::move(name), target, std::move(help));
    flag.positional = true;
    return flag;
  }

  std::vector<Flag>& flags() { return flags_; }

  const std::vector<Flag>& flags() const { return flags_; }

  // By name or alias; nullptr when there is none.
  const Flag* find(std::string_view name) const {
    for (const Flag& flag : flags_) {
      if (flag.name == name) {
        return &flag;
      }
      for (const std::string& other : flag.alias_names) {
        if (other == name) {
          return &flag;
        }
      }
    }
    return nullptr;
  }

  bool given(std::string_view name) const {
    const Flag* flag = find(name);
    return flag != nullptr && flag->is_given;
  }

 private:
  std::string group_;
  std::vector<Flag> flags_;
};

}  // namespace sinew
