// Values of flags: from text, to text, to JSON.
#pragma once

#include "base/options.h"
#include "io/json.h"

#include "sinew/result.h"

#include <span>
#include <string>

namespace sinew::cli {

// Stores `values` (one, or any number for a list; commas separate as well) in the flag's target and
// marks it as given. kUsage with the flag's name for a wrong type, a choice that does not exist or
// a number below the minimum.
Status set_flag(Flag& flag, std::span<const std::string> values);

// The current value, as --help shows defaults: empty for an empty string, list or optional.
std::string flag_text(const Flag& flag);

// {"name": value} of every flag, for reports.
io::Json options_json(const FlagList& flags);

// The candidate nearest to `word` in edits, or empty when none is near enough to be meant.
std::string nearest_name(std::string_view word, std::span<const std::string> candidates);

}  // namespace sinew::cli
