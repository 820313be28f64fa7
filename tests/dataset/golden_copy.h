// A writable copy of the golden data set, to be damaged by a test.
#pragma once

#include "support/temp_folder.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace sinew::test {

class GoldenCopy {
 public:
  GoldenCopy() {
    std::filesystem::copy("tests/golden/dataset", folder_.path(),
                          std::filesystem::copy_options::recursive |
                              std::filesystem::copy_options::overwrite_existing);
  }

  const std::filesystem::path& path() const { return folder_.path(); }

  std::string read(const std::string& name) const {
    std::ifstream file(path() / name, std::ios::binary);
    EXPECT_TRUE(file.good()) << name;
    return {std::istreambuf_iterator<char>(file), {}};
  }

  void write(const std::string& name, const std::string& bytes) const {
    std::ofstream(path() / name, std::ios::binary) << bytes;
  }

  // The first occurrence of `from`, which must exist.
  void replace(const std::string& name, const std::string& from, const std::string& to) const {
    std::string text = read(name);
    const size_t place = text.find(from);
    ASSERT_NE(place, std::string::npos) << from;
    write(name, text.replace(place, from.size(), to));
  }

  void remove(const std::string& name) const { std::filesystem::remove_all(path() / name); }

 private:
  TempFolder folder_;
};

inline constexpr const char* kInfo = "meta/info.json";
inline constexpr const char* kEpisodes = "meta/episodes.jsonl";
inline constexpr const char* kTasks = "meta/tasks.jsonl";
inline constexpr const char* kModality = "meta/modality.json";
inline constexpr const char* kData = "data/chunk-000/episode_000000.parquet";
inline constexpr const char* kVideo =
    "videos/chunk-000/observation.images.front/episode_000000.mp4";
inline constexpr const char* kPointer =
    "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n";

}  // namespace sinew::test
