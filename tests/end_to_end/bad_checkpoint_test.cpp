// Damaged checkpoints: exit code 3 and a message every time; never a signal, never success.
#include "end_to_end/program.h"
#include "io/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace sinew::test {
namespace {

using Path = std::filesystem::path;

std::string read(const Path& path) {
  return io::read_file(path).value();
}

void write(const Path& path, const std::string& bytes) {
  ASSERT_TRUE(io::write_file_atomic(path, bytes).ok());
}

Path shard(const Path& checkpoint) {
  return checkpoint / "model-00001-of-00005.safetensors";
}

// A shard's header and the bytes behind it.
struct Shard {
  io::Json header;
  std::string data;

  static Shard open(const Path& path) {
    const std::string bytes = read(path);
    uint64_t length = 0;
    std::memcpy(&length, bytes.data(), sizeof(length));
    return {io::Json::parse(bytes.substr(8, length)), bytes.substr(8 + length)};
  }

  void save(const Path& path) const {
    const std::string text = header.dump();
    const uint64_t length = text.size();
    std::string bytes(sizeof(length), '\0');
    std::memcpy(bytes.data(), &length, sizeof(length));
    write(path, bytes + text + data);
  }

  std::vector<std::string> names() const {
    std::vector<std::string> out;
    for (const auto& [name, unused] : header.items()) {
      if (name != "__metadata__") {
        out.push_back(name);
      }
    }
    return out;
  }
};

void change_shard(const Path& checkpoint, const std::function<void(Shard&)>& change) {
  Shard opened = Shard::open(shard(checkpoint));
  change(opened);
  opened.save(shard(checkpoint));
}

void transpose_a_matrix(Shard& opened) {
  for (const std::string& name : opened.names()) {
    io::Json& shape = opened.header[name]["shape"];
    if (shape.size() == 2 && shape[0] != shape[1]) {
      shape = {shape[1], shape[0]};
      return;
    }
  }
  ADD_FAILURE() << "no matrix to transpose";
}

// Two tensors of one size, so that only the overlap is wrong.
void share_the_bytes_of_another(Shard& opened) {
  std::map<int64_t, std::string> by_bytes;
  for (const std::string& name : opened.names()) {
    io::Json& offsets = opened.header[name]["data_offsets"];
    const auto bytes = offsets[1].get<int64_t>() - offsets[0].get<int64_t>();
    const auto [first, is_new] = by_bytes.try_emplace(bytes, name);
    if (!is_new) {
      offsets = opened.header[first->second]["data_offsets"];
      return;
    }
  }
  ADD_FAILURE() << "no two tensors of one size";
}

void drop_action_bounds(const Path& checkpoint) {
  io::Json statistics = read_golden_json(checkpoint / "statistics.json");
  for (auto& [key, entry] : statistics["new_embodiment"]["action"].items()) {
    entry.erase("min");
    entry.erase("q01");
  }
  write(checkpoint / "statistics.json", statistics.dump());
}

struct Damage {
  std::string name;
  std::string found;  // part of the message
  std::function<void(const Path&)> apply;
};

std::vector<Damage> damages() {
  return {
      {"TruncatedShard", "model-00001-of-00005.safetensors",
       [](const Path& c) {
         const std::string bytes = read(shard(c));
         write(shard(c), bytes.substr(0, bytes.size() - 1000));
       }},
      {"EmptyShard", "at least 8 bytes", [](const Path& c) { write(shard(c), ""); }},
      {"HugeHeaderLength", "header",
       [](const Path& c) {
         std::string bytes = read(shard(c));
         bytes.replace(0, 8, std::string("\0\0\0\0\0\0\0\x80", 8));
         write(shard(c), bytes);
       }},
      {"MissingShard", "model-00001-of-00005.safetensors",
       [](const Path& c) { std::filesystem::remove(shard(c)); }},
      {"NoConfig", "config.json",
       [](const Path& c) { std::filesystem::remove(c / "config.json"); }},
      {"ConfigNotJson", "config.json", [](const Path& c) { write(c / "config.json", "{"); }},
      {"DeepJson", "config.json",
       [](const Path& c) { write(c / "config.json", std::string(200000, '[')); }},
      {"NoStatistics", "statistics.json",
       [](const Path& c) { std::filesystem::remove(c / "statistics.json"); }},
      {"OffsetsLie", "data_offsets",
       [](const Path& c) {
         change_shard(c, [](Shard& s) {
           io::Json& end = s.header[s.names()[0]]["data_offsets"][1];
           end = end.get<int64_t>() + 64;
         });
       }},
      {"Overlap", "overlap", [](const Path& c) { change_shard(c, share_the_bytes_of_another); }},
      {"TransposedShape", "do not fit the configuration",
       [](const Path& c) { change_shard(c, transpose_a_matrix); }},
      {"MissingTensor", "found 1 missing",
       [](const Path& c) {
         change_shard(c, [](Shard& s) {
           const std::string name = s.names()[0];
           s.header["nonsense." + name] = s.header[name];
           s.header.erase(name);
         });
       }},
      {"ActionStatisticsWithoutBounds", "new_embodiment.action", drop_action_bounds}};
}

class BadCheckpoint : public testing::TestWithParam<Damage> {};

TEST_P(BadCheckpoint, IsRefusedWithAMessage) {
  const TempFolder folder;
  const Path checkpoint = folder / "checkpoint";
  std::filesystem::copy(kNano, checkpoint, std::filesystem::copy_options::recursive);
  GetParam().apply(checkpoint);
  const GoldenCase golden = write_golden_case("main", folder);
  const Outcome outcome =
      run_sinew({"infer", checkpoint, "--vlm-path", kEagle, "--observation", golden.observation,
                 "--noise", golden.noise, "--device", "cpu", "--json"});
  EXPECT_EQ(outcome.exit_code, 3) << outcome.err;
  EXPECT_THAT(outcome.err,
              testing::AllOf(testing::HasSubstr("error: "), testing::HasSubstr(GetParam().found)));
  EXPECT_TRUE(outcome.out.empty());
}

// Training leaves parts behind that inference does not need: accepted, and said.
TEST(ExtraTensor, IsIgnoredAndNamed) {
  const TempFolder folder;
  const Path checkpoint = folder / "checkpoint";
  std::filesystem::copy(kNano, checkpoint, std::filesystem::copy_options::recursive);
  change_shard(checkpoint, [](Shard& s) {
    const size_t end = s.data.size();
    s.header["nonsense.weight"] = {
        {"dtype", "F32"}, {"shape", {1}}, {"data_offsets", {end, end + 4}}};
    s.data += std::string(4, '\0');
  });
  const Outcome outcome = run_sinew({"inspect", checkpoint, "--vlm-path", kEagle,
                                     "--embodiment-tag", "new_embodiment", "--device", "cpu"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, testing::HasSubstr("nonsense.weight"));
}

INSTANTIATE_TEST_SUITE_P(Damages, BadCheckpoint, testing::ValuesIn(damages()),
                         [](const auto& damage) { return damage.param.name; });

}  // namespace
}  // namespace sinew::test
