// Cuts normalised text into the pieces that byte-pair merges may not cross: step 2 of
// spec/preprocessing.md section 4.4.
#pragma once

#include "sinew/result.h"

#include <memory>
#include <string_view>
#include <vector>

namespace sinew::preprocess {

// Thread-safe after construction.
class Pretokenizer {
 public:
  static Result<Pretokenizer> create();

  Pretokenizer(Pretokenizer&&) noexcept;
  Pretokenizer& operator=(Pretokenizer&&) noexcept;
  ~Pretokenizer();

  // The pieces in order; together they are all of `text`, and they point into it. Precondition:
  // valid UTF-8 of at most kMaxTextBytes.
  Result<std::vector<std::string_view>> split(std::string_view text) const;

 private:
  struct Pattern;
  explicit Pretokenizer(std::unique_ptr<Pattern> pattern);
  std::unique_ptr<Pattern> pattern_;
};

}  // namespace sinew::preprocess
