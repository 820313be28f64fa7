#include "end_to_end/program.h"

#include "io/file.h"
#include "io/npy.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace sinew::test {
namespace {

std::string slurp(const std::filesystem::path& path) {
  Result<std::string> text = io::read_file(path);
  return text.ok() ? std::move(text).value() : "";
}

}  // namespace

Outcome run_sinew(const std::vector<std::string>& words, const std::string& stdout_path) {
  const TempFolder folder;
  std::vector<std::string> all{SINEW_PROGRAM};
  all.insert(all.end(), words.begin(), words.end());
  std::vector<char*> argv;
  for (std::string& word : all) {
    argv.push_back(word.data());
  }
  argv.push_back(nullptr);
  const std::string out = stdout_path.empty() ? (folder / "out").string() : stdout_path;
  const std::string err = folder / "err";
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  constexpr int kFlags = O_WRONLY | O_CREAT | O_TRUNC;
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, out.c_str(), kFlags, 0600);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, err.c_str(), kFlags, 0600);
  pid_t pid = 0;
  const int started = posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  Outcome outcome;
  int status = 0;
  if (started != 0 || waitpid(pid, &status, 0) != pid) {
    ADD_FAILURE() << "cannot run " << argv[0];
    return outcome;
  }
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  outcome.out = slurp(out);
  outcome.err = slurp(err);
  return outcome;
}

io::Json json_of(const Outcome& outcome) {
  Result<io::Json> json = io::parse_json(outcome.out, "stdout");
  EXPECT_TRUE(json.ok()) << json.status().message() << "\n" << outcome.err;
  return json.ok() ? std::move(json).value() : io::Json();
}

io::SafetensorsFile open_golden(const std::filesystem::path& path) {
  Result<io::SafetensorsFile> file = io::SafetensorsFile::open(path);
  EXPECT_TRUE(file.ok()) << file.status().message();
  return file.ok() ? std::move(file).value() : io::SafetensorsFile();
}

io::Json read_golden_json(const std::filesystem::path& path) {
  Result<io::Json> json = io::read_json_file(path);
  EXPECT_TRUE(json.ok()) << json.status().message();
  return json.ok() ? std::move(json).value() : io::Json();
}

std::vector<float> values_of(const ConstTensorView& view) {
  std::vector<float> values(static_cast<size_t>(view.shape.elements()));
  io::convert_to_f32(view, values);
  return values;
}

void write_noise(const io::SafetensorsFile& file, const std::string& tensor,
                 const std::filesystem::path& path) {
  const io::TensorEntry* noise = file.find(tensor);
  ASSERT_NE(noise, nullptr) << tensor;
  const Shape& shape = noise->view.shape;
  const int64_t horizon = shape[shape.rank() - 2];
  const int64_t dims = shape[shape.rank() - 1];
  const std::vector<float> values = values_of(noise->view);
  const Shape flat{shape.elements() / (horizon * dims), horizon, dims};
  ASSERT_TRUE(io::write_file_atomic(path, io::format_npy({values.data(), DType::kF32, flat})).ok());
}

GoldenCase write_golden_case(const std::string& name, const TempFolder& folder) {
  const std::filesystem::path cases = kGolden / "cases";
  GoldenCase out{folder / "obs.json", folder / "noise.npy",
                 read_golden_json(cases / (name + ".json"))};
  const std::string base = out.meta.value("observation_of", name);
  const io::Json meta = read_golden_json(cases / (base + ".json"));
  const io::SafetensorsFile tensors = open_golden(cases / (base + ".safetensors"));
  const io::Json& language = meta["language"].front();
  const auto batch = static_cast<size_t>(tensors.find("noise")->view.shape[0]);
  io::Json list = io::Json::array();
  for (size_t b = 0; b < batch; ++b) {
    io::Json observation{{"embodiment_tag", out.meta["embodiment_tag"]},
                         {"language", language[b][0]}};
    for (const auto& [camera, files] : meta["video_png"].items()) {
      const size_t times = meta["video"][camera][1].get<size_t>();
      for (size_t t = 0; t < times; ++t) {
        observation["video"][camera].push_back(
            std::filesystem::absolute(cases / files[b * times + t].get<std::string>()));
      }
    }
    for (const io::TensorEntry& tensor : tensors.tensors()) {
      if (!tensor.name.starts_with("obs.state.")) {
        continue;
      }
      const Shape& shape = tensor.view.shape;  // [batch, time, dims]
      const std::vector<float> values = values_of(tensor.view);
      for (int64_t t = 0; t < shape[1]; ++t) {
        const auto at = values.begin() + (static_cast<int64_t>(b) * shape[1] + t) * shape[2];
        observation["state"][tensor.name.substr(10)].push_back(
            std::vector<float>(at, at + shape[2]));
      }
    }
    list.push_back(std::move(observation));
  }
  EXPECT_TRUE(io::write_file_atomic(out.observation, (batch == 1 ? list[0] : list).dump()).ok());
  write_noise(tensors, "noise", out.noise);
  return out;
}

double relative_error(const std::vector<float>& got, const std::vector<float>& want) {
  double error = got.size() == want.size() ? 0 : std::numeric_limits<double>::infinity();
  double scale = 1;
  for (size_t i = 0; i < std::min(got.size(), want.size()); ++i) {
    const double difference = std::abs(static_cast<double>(got[i]) - static_cast<double>(want[i]));
    error = std::isfinite(difference) ? std::max(error, difference)
                                      : std::numeric_limits<double>::infinity();
    scale = std::max(scale, std::abs(static_cast<double>(want[i])));
  }
  return error / scale;
}

}  // namespace sinew::test
