// Inside of preprocess/config: the parts that resolve_processor_config is put together from.
#pragma once

#include "preprocess/config/processor_config.h"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sinew::preprocess {

// Fails, naming it and those allowed, when an object has a key that is not in `allowed`.
Status refuse_unknown_keys(const io::JsonView& object, std::span<const std::string_view> allowed);

// The member of an object; an absent or null one is kBadInput with `hint` behind it.
Result<io::JsonView> require(const io::JsonView& object, std::string_view key,
                             std::string_view hint);

// What a policy needs beyond a well-formed configuration: all four modalities, one language key and
// step, relative actions that can be decoded (6.3). `where` names the configuration in errors. Also
// notes settings that have no effect.
Status check_modalities(const ProcessorConfig& config, const std::string& where,
                        std::vector<std::string>& notices);

// The statistics of one embodiment, checked against the configuration that will use them (section
// 8.3). Expects the modalities and flags of `config` to be settled.
Result<EmbodimentStatistics> parse_statistics(const io::JsonView& embodiment,
                                              const ProcessorConfig& config,
                                              std::vector<std::string>& notices);

// Warnings and notices about statistics that parse_statistics accepted and that hardly are right.
// Expects `config` to be complete.
void check_doubtful_statistics(const io::JsonView& embodiment, const ProcessorConfig& config,
                               io::ResolvedConfig& resolved);

// "a, b, c".
std::string join(std::span<const std::string> parts);

}  // namespace sinew::preprocess
