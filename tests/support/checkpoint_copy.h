// A copy of a checkpoint folder that a test may damage: JSON files are copied, weights are linked.
#pragma once

#include "io/file.h"
#include "io/json.h"
#include "support/temp_folder.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <string_view>

namespace sinew::test {

class CheckpointCopy {
 public:
  // `source` holds the checkpoint; a sibling or inner eagle/ folder is linked so that the search
  // finds it.
  explicit CheckpointCopy(const std::filesystem::path& source) {
    namespace fs = std::filesystem;
    fs::create_directory(path());
    for (const auto& entry : fs::directory_iterator(source)) {
      const fs::path target = path() / entry.path().filename();
      if (entry.path().extension() == ".json") {
        fs::copy_file(entry.path(), target);
      } else {
        fs::create_symlink(fs::absolute(entry.path()), target);
      }
    }
    const fs::path eagle = source.parent_path() / "eagle";
    if (fs::exists(eagle)) {
      fs::create_directory(eagle_path());
      for (const auto& entry : fs::directory_iterator(eagle)) {
        fs::copy_file(entry.path(), eagle_path() / entry.path().filename());
      }
    }
  }

  std::filesystem::path path() const { return folder_ / "checkpoint"; }

  std::filesystem::path eagle_path() const { return folder_ / "eagle"; }

  // Rewrites one JSON file through `change`.
  template <class Change>
  void edit(const std::filesystem::path& file, Change change) const {
    io::Json json = io::read_json_file(file).value();
    change(json);
    std::filesystem::remove(file);
    ASSERT_TRUE(io::write_file_atomic(file, json.dump()).ok());
  }

 private:
  TempFolder folder_;
};

}  // namespace sinew::test
