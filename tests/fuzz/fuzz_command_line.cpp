// The words of a command line: a first byte for the verb, then words with NULs between them. They
// are refused as a usage error, or every flag has a value that can be shown and reported.
#include "base/check.h"
#include "base/log.h"
#include "byte_reader.h"
#include "cli/flag_value.h"
#include "cli/options.h"
#include "cli/parser.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace {

using namespace sinew;  // NOLINT(google-build-using-namespace): one file, one purpose

template <class Options>
void parse(const std::string& verb, const std::vector<std::string>& words) {
  Options options;
  FlagList flags;
  cli::declare_flags(flags, options);
  const Status parsed = cli::parse_flags(verb, words, flags);
  if (!parsed.ok()) {
    SINEW_CHECK(parsed.code() == Code::kUsage && !parsed.message().empty());
  }
  for (const Flag& flag : flags.flags()) {
    static_cast<void>(cli::flag_text(flag));
    SINEW_CHECK(parsed.ok() || !flag.name.empty());
  }
  SINEW_CHECK(cli::options_json(flags).size() == flags.flags().size());
  const Status effects = cli::report_effects(flags);
  SINEW_CHECK(effects.ok() || effects.code() == Code::kUnsupported);
  if (cli::asks_for_help(words)) {
    SINEW_CHECK(!cli::help_text(verb, "summary", flags).empty());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  set_log_level(LogLevel::kOff);
  constexpr size_t kMaxWords = 64;
  test::ByteReader bytes(data, size);
  const size_t verb = bytes.below(7);
  std::vector<std::string> words;
  while (!bytes.empty() && words.size() < kMaxWords) {
    words.emplace_back(bytes.until('\0'));
  }
  switch (verb) {
    case 0:
      parse<cli::InferOptions>("infer", words);
      break;
    case 1:
      parse<cli::EvalOptions>("eval", words);
      break;
    case 2:
      parse<cli::InspectOptions>("inspect", words);
      break;
    case 3:
      parse<cli::StatsOptions>("stats", words);
      break;
    case 4:
      parse<cli::DoctorOptions>("doctor", words);
      break;
    case 5:
      parse<cli::BenchOptions>("bench", words);
      break;
    default:
      parse<cli::SynthOptions>("synth", words);
      break;
  }
  return 0;
}
