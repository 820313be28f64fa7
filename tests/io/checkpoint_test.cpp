#include "io/checkpoint.h"

#include "io/expect_error.h"
#include "io/file.h"
#include "support/temp_folder.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace sinew::io {
namespace {

namespace fs = std::filesystem;
using test::expect_error;
using test::TempFolder;

constexpr const char* kNano = "tests/golden/nano/checkpoint";

void write(const fs::path& path, std::string_view text) {
  ASSERT_TRUE(write_file_atomic(path, text).ok());
}

// Writes a shard of one-element tensors.
void write_shard(const fs::path& path, const std::vector<std::string>& names) {
  static constexpr float kValue = 1.0F;
  std::vector<NamedTensor> tensors;
  tensors.reserve(names.size());
  for (const std::string& name : names) {
    tensors.push_back({name, {&kValue, DType::kF32, Shape{1}}});
  }
  ASSERT_TRUE(write_safetensors(path, tensors).ok());
}

void write_index(const fs::path& folder, const std::map<std::string, std::string>& weight_map) {
  write(folder / "model.safetensors.index.json", Json{{"weight_map", weight_map}}.dump());
}

// A folder with the JSON files, to which a test adds weights.
class CheckpointTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = temp_ / "checkpoint-30";
    fs::create_directory(folder_);
    for (const char* name : {"config.json", "processor_config.json", "statistics.json"}) {
      write(folder_ / name, "{}");
    }
  }

  TempFolder temp_;
  fs::path folder_;
};

bool has_notice(const Checkpoint& checkpoint, const std::string& part) {
  for (const std::string& notice : checkpoint.notices()) {
    if (notice.find(part) != std::string::npos) {
      return true;
    }
  }
  return false;
}

TEST(Checkpoint, OpensTheNanoGolden) {
  const Checkpoint checkpoint = std::move(Checkpoint::open(kNano)).value();
  EXPECT_EQ(checkpoint.config().at("model_type").value().as_string().value(), "Gr00tN1d6");
  EXPECT_TRUE(checkpoint.statistics().has("new_embodiment"));
  EXPECT_TRUE(checkpoint.embodiment_ids().has("new_embodiment"));
  EXPECT_TRUE(checkpoint.processor_config().has("processor_kwargs"));
  const Json index = read_json_file(fs::path(kNano) / "model.safetensors.index.json").value();
  EXPECT_EQ(checkpoint.tensors().size(), index["weight_map"].size());
  size_t bytes = 0;
  for (const TensorEntry& tensor : checkpoint.tensors()) {
    bytes += tensor.view.bytes();
    EXPECT_EQ(checkpoint.find(tensor.name), &tensor);
  }
  EXPECT_EQ(bytes, index["metadata"]["total_size"].get<size_t>());
  EXPECT_GT(checkpoint.file_bytes(), bytes);
  EXPECT_EQ(checkpoint.find("none"), nullptr);
  EXPECT_TRUE(has_notice(checkpoint, "global step unknown"));
}

TEST_F(CheckpointTest, ReadsASingleFile) {
  write_shard(folder_ / "model.safetensors", {"b", "a"});
  const Checkpoint checkpoint = std::move(Checkpoint::open(folder_)).value();
  ASSERT_EQ(checkpoint.tensors().size(), 2U);
  EXPECT_EQ(checkpoint.tensors()[0].name, "a");
  EXPECT_TRUE(checkpoint.embodiment_ids().is_null());
  EXPECT_TRUE(has_notice(checkpoint, "global step 30"));
}

TEST_F(CheckpointTest, ReadsShardsAndSaysWhatTheIndexOmits) {
  write_shard(folder_ / "one.safetensors", {"b", "extra"});
  write_shard(folder_ / "two.safetensors", {"a"});
  write_index(folder_, {{"a", "two.safetensors"}, {"b", "one.safetensors"}});
  const Checkpoint checkpoint = std::move(Checkpoint::open(folder_)).value();
  EXPECT_EQ(checkpoint.tensors().size(), 3U);
  EXPECT_TRUE(has_notice(checkpoint, "one.safetensors: 1 tensors are not listed"));
}

TEST_F(CheckpointTest, RefusesShardsThatDisagreeWithTheIndex) {
  write_index(folder_, {{"a", "one.safetensors"}, {"b", "two.safetensors"}});
  expect_error(Checkpoint::open(folder_), Code::kNotFound,
               {"expected the 2 shards", "missing: one.safetensors, two.safetensors"});
  write_shard(folder_ / "one.safetensors", {"a"});
  write_shard(folder_ / "two.safetensors", {"nonsense.b"});
  expect_error(Checkpoint::open(folder_), Code::kNotFound,
               {"two.safetensors", "1 missing: b", "fetch both again"});
  write_shard(folder_ / "two.safetensors", {"a", "b"});
  expect_error(
      Checkpoint::open(folder_), Code::kBadInput,
      {"expected each tensor in one shard, found a in", "one.safetensors", "two.safetensors"});
}

TEST_F(CheckpointTest, RefusesBadIndexes) {
  for (const char* shard : {"../one.safetensors", "/etc/passwd", "", "..", "a\\b"}) {
    write_index(folder_, {{"a", shard}});
    expect_error(Checkpoint::open(folder_), Code::kBadInput,
                 {"model.safetensors.index.json: weight_map.a: expected the name of a file"});
  }
  write_index(folder_, {});
  EXPECT_FALSE(Checkpoint::open(folder_).ok());
  write(folder_ / "model.safetensors.index.json", "{}");
  expect_error(Checkpoint::open(folder_), Code::kNotFound, {"the key \"weight_map\" is missing"});
  write(folder_ / "model.safetensors.index.json", "[[");
  expect_error(Checkpoint::open(folder_), Code::kBadInput, {"expected JSON text"});
}

TEST_F(CheckpointTest, RefusesFourBitWeights) {
  for (const char* name : {"w.absmax", "w.quant_map", "w.quant_state.bitsandbytes__nf4"}) {
    write_shard(folder_ / "model.safetensors", {"w", name});
    expect_error(Checkpoint::open(folder_), Code::kBadInput, {"4-bit", name});
  }
}

TEST_F(CheckpointTest, NamesMissingWeights) {
  expect_error(Checkpoint::open(folder_), Code::kNotFound,
               {"model.safetensors", "found no weights"});
  write(folder_ / "pytorch_model.bin", "");
  expect_error(Checkpoint::open(folder_), Code::kNotFound, {"found only pytorch_model.bin"});
  write(folder_ / "model.safetensors", "version https://git-lfs.github.com/spec/v1\noid\n");
  expect_error(Checkpoint::open(folder_), Code::kBadInput, {"git-LFS pointer"});
}

TEST_F(CheckpointTest, FindsProcessorFilesElsewhere) {
  write_shard(folder_ / "model.safetensors", {"a"});
  const fs::path inside = folder_ / "processor";
  fs::create_directory(inside);
  for (const char* name : {"processor_config.json", "statistics.json"}) {
    fs::rename(folder_ / name, inside / name);
  }
  const Checkpoint checkpoint = std::move(Checkpoint::open(folder_)).value();
  EXPECT_TRUE(has_notice(checkpoint, "processor files found in " + inside.string()));
  EXPECT_EQ(checkpoint.statistics().where(), (inside / "statistics.json").string());

  fs::rename(inside, temp_ / "elsewhere");
  expect_error(Checkpoint::open(folder_), Code::kNotFound,
               {"processor_config.json, statistics.json missing", "--processor DIR"});
  EXPECT_TRUE(Checkpoint::open(folder_, {temp_ / "elsewhere"}).ok());
  expect_error(Checkpoint::open(folder_, {temp_ / "nowhere"}), Code::kNotFound, {"nowhere"});

  const fs::path best = temp_ / "checkpoint-30-best-mse";
  fs::rename(folder_, best);
  expect_error(Checkpoint::open(best), Code::kNotFound, {"best metric", "--processor DIR"});
}

TEST_F(CheckpointTest, NamesMissingAndDamagedConfigs) {
  write_shard(folder_ / "model.safetensors", {"a"});
  fs::remove(folder_ / "statistics.json");
  expect_error(Checkpoint::open(folder_), Code::kNotFound, {"found statistics.json missing"});
  write(folder_ / "statistics.json", "{");
  expect_error(Checkpoint::open(folder_), Code::kBadInput, {"statistics.json: expected JSON text"});
  write(folder_ / "statistics.json", "[]");
  expect_error(Checkpoint::open(folder_), Code::kBadInput, {"statistics.json: expected an object"});
  fs::remove(folder_ / "config.json");
  expect_error(Checkpoint::open(folder_), Code::kNotFound, {"found no config.json"});
}

TEST_F(CheckpointTest, PointsToNestedCheckpoints) {
  fs::create_directory(temp_ / "checkpoint-4");
  expect_error(Checkpoint::open(temp_.path()), Code::kNotFound,
               {"found the checkpoint folders checkpoint-4, checkpoint-30"});
  expect_error(Checkpoint::open(temp_ / "none"), Code::kNotFound, {"no such checkpoint folder"});
  expect_error(Checkpoint::open(folder_ / "config.json"), Code::kBadInput, {"found a file"});
}

TEST(VlmFolder, FindsTheFolderBesideTheCheckpoint) {
  const VlmFolder vlm = std::move(open_vlm_folder(kNano, "")).value();
  EXPECT_EQ(fs::weakly_canonical(vlm.path), fs::weakly_canonical("tests/golden/nano/eagle"));
  ASSERT_TRUE(vlm.config.has_value());
  EXPECT_EQ((*vlm.config)["image_token_index"], 885);
  EXPECT_TRUE(vlm.added_tokens.has_value());
  EXPECT_FALSE(vlm.vocab.empty());
  EXPECT_FALSE(vlm.merges.empty());
}

TEST_F(CheckpointTest, SearchesTheTokenizerInOrder) {
  expect_error(open_vlm_folder(folder_, ""), Code::kNotFound,
               {"vocab.json", "merges.txt", "eagle", "nvidia/Eagle-Block2A-2B-v2", "--vlm-path"});
  for (const fs::path& place : {temp_ / "eagle", folder_ / "eagle", folder_}) {
    fs::create_directory(place);
    write(place / "vocab.json", place.string());
    EXPECT_TRUE(place == temp_ / "eagle" || open_vlm_folder(folder_, "").ok());
    write(place / "merges.txt", "");
    EXPECT_EQ(open_vlm_folder(folder_, "").value().vocab, place.string());
  }
  EXPECT_EQ(open_vlm_folder(folder_, temp_ / "eagle").value().vocab, (temp_ / "eagle").string());
  expect_error(open_vlm_folder(folder_, temp_ / "none"), Code::kNotFound, {"--vlm-path"});
  fs::remove(temp_ / "eagle/merges.txt");
  expect_error(open_vlm_folder(folder_, temp_ / "eagle"), Code::kNotFound, {"has no merges.txt"});
}

TEST_F(CheckpointTest, DoesNotTakeThePolicyConfigForTheVlms) {
  write(folder_ / "vocab.json", "{}");
  write(folder_ / "merges.txt", "");
  write(folder_ / "config.json", R"({"model_type": "Gr00tN1d6"})");
  EXPECT_FALSE(open_vlm_folder(folder_, "").value().config.has_value());
  write(folder_ / "config.json", "{");
  expect_error(open_vlm_folder(folder_, ""), Code::kBadInput, {"config.json"});
}

}  // namespace
}  // namespace sinew::io
