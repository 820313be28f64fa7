// Command-line words to flag values. The only user of CLI11.
#pragma once

#include "base/options.h"

#include "sinew/result.h"

#include <span>
#include <string>

namespace sinew::cli {

// Fills the flags of `verb` from the words that follow it. Names take '-' and '_' alike, values
// follow as "--name value" or "--name=value", switches are turned off with "--no-name". kUsage,
// with a suggestion where one is near, for anything that is not a flag of the verb.
Status parse_flags(const std::string& verb, std::span<const std::string> words, FlagList& flags);

// Whether the words ask for help rather than for a run.
bool asks_for_help(std::span<const std::string> words);

// The help page of a verb: usage, then flags under their headings with defaults and aliases.
std::string help_text(const std::string& verb, const std::string& summary, const FlagList& flags);

// A notice for every given flag that has no effect; kUnsupported for one that this version refuses.
Status report_effects(const FlagList& flags);

}  // namespace sinew::cli
