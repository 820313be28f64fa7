#include "io/hash.h"

#include "io/expect_error.h"
#include "io/file.h"
#include "support/temp_folder.h"

#include <gtest/gtest.h>

#include <string_view>

namespace sinew::io {
namespace {

std::string hash_text(std::string_view text) {
  return hash_hex(std::as_bytes(std::span(text)));
}

TEST(Hash, MatchesXxh128sum) {
  EXPECT_EQ(hash_text(""), "99aa06d3014798d86001c324468d497f");
  EXPECT_EQ(hash_text("abc"), "06b05ab6733a618578af5f94892f3950");
}

TEST(Hash, HashesFiles) {
  const test::TempFolder folder;
  ASSERT_TRUE(write_file_atomic(folder / "a", std::string_view("abc")).ok());
  EXPECT_EQ(hash_file_hex(folder / "a").value(), hash_text("abc"));
  test::expect_error(hash_file_hex(folder / "none"), Code::kNotFound, {"none"});
}

}  // namespace
}  // namespace sinew::io
