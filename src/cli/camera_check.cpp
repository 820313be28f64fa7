#include "cli/camera_check.h"

#include "io/file.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <optional>
#include <string_view>
#include <utility>

namespace sinew::cli {
namespace {

using Colour = std::array<double, 3>;  // means of the channels, 0 to 1

// Differences below this share of full scale are lighting and compression.
constexpr double kVisible = 0.04;
// How much better the other explanation must fit.
constexpr double kBetter = 0.35;

// [3], or [3][1][1] as LeRobot writes it; 0 to 255 is taken to 0 to 1.
std::optional<Colour> colour_of(const io::Json& mean) {
  if (!mean.is_array() || mean.size() != 3) {
    return std::nullopt;
  }
  Colour colour{};
  for (size_t i = 0; i < 3; ++i) {
    const io::Json* value = &mean[i];
    while (value->is_array() && value->size() == 1) {
      value = &value->front();
    }
    if (!value->is_number() || !std::isfinite(value->get<double>())) {
      return std::nullopt;
    }
    colour[i] = value->get<double>();
  }
  if (*std::ranges::max_element(colour) > 1.5) {
    std::ranges::for_each(colour, [](double& x) { x /= 255; });
  }
  return colour;
}

std::optional<Colour> feature_colour(const io::Json& stats, const std::string& feature) {
  const auto entry = stats.find(feature);  // end() of a value that is no object
  if (entry == stats.end() || !entry->is_object() || !entry->contains("mean")) {
    return std::nullopt;
  }
  return colour_of(entry->at("mean"));
}

// The "stats" of one episode in meta/episodes_stats.jsonl (v2.1), or null.
io::Json episode_stats(const dataset::Dataset& data, int64_t episode_index) {
  const std::filesystem::path path = data.path() / "meta" / "episodes_stats.jsonl";
  if (!io::path_exists(path)) {
    return {};
  }
  const Result<std::string> text = io::read_file(path);
  std::string_view rest = text.ok() ? std::string_view(text.value()) : std::string_view();
  while (!rest.empty()) {
    const size_t end = rest.find('\n');
    const Result<io::Json> line = io::parse_json(rest.substr(0, end), path.string());
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    if (line.ok() && line.value().is_object() && line.value().contains("stats") &&
        line.value().value("episode_index", io::Json()) == episode_index) {
      return line.value().at("stats");
    }
  }
  return {};
}

// The mean of a frame at the start, one in the middle and one at the end.
std::optional<Colour> shown_colour(dataset::Episode& episode, const std::string& camera) {
  Colour sum{};
  const int64_t last = episode.length() - 1;
  for (const int64_t row : {int64_t{0}, last / 2, last}) {
    const Result<preprocess::Image> frame = episode.frame(camera, row);
    if (!frame.ok() || frame.value().pixels.empty()) {
      return std::nullopt;
    }
    const auto& pixels = frame.value().pixels;
    Colour mean{};
    for (size_t i = 0; i + 2 < pixels.size(); i += 3) {
      for (size_t c = 0; c < 3; ++c) {
        mean[c] += pixels[i + c];
      }
    }
    for (size_t c = 0; c < 3; ++c) {
      sum[c] += mean[c] / (255.0 * static_cast<double>(pixels.size()));  // 3 frames, 3 channels
    }
  }
  return sum;
}

double distance(const Colour& a, const Colour& b) {
  double largest = 0;
  for (size_t c = 0; c < 3; ++c) {
    largest = std::max(largest, std::abs(a[c] - b[c]));
  }
  return largest;
}

// Without brightness, which differs between frames more than hue does.
Colour hue(const Colour& colour) {
  const double grey = (colour[0] + colour[1] + colour[2]) / 3;
  return {colour[0] - grey, colour[1] - grey, colour[2] - grey};
}

struct Camera {
  std::string key;
  std::string feature;
  Colour shown{};
  Colour written{};
};

void check_channels(const Camera& camera, std::vector<std::string>& warnings) {
  const Colour shown = hue(camera.shown);
  const Colour written = hue(camera.written);
  const double own = distance(shown, written);
  const double reversed = distance({shown[2], shown[1], shown[0]}, written);
  if (own > kVisible && reversed < kBetter * own) {
    warnings.push_back(fmt::format(
        "camera \"{}\": red and blue look exchanged: frames have the means {:.2f} {:.2f} {:.2f}, "
        "the data set's statistics of {} say {:.2f} {:.2f} {:.2f}: were the videos written from "
        "BGR frames?",
        camera.key, camera.shown[0], camera.shown[1], camera.shown[2], camera.feature,
        camera.written[0], camera.written[1], camera.written[2]));
  }
}

void check_exchanged(const Camera& a, const Camera& b, std::vector<std::string>& warnings) {
  const double as_named = std::min(distance(a.shown, a.written), distance(b.shown, b.written));
  const double exchanged = std::max(distance(a.shown, b.written), distance(b.shown, a.written));
  if (as_named > kVisible && exchanged < kBetter * as_named) {
    warnings.push_back(fmt::format(
        "cameras \"{}\" and \"{}\" look exchanged: the frames of each have the mean colours that "
        "the data set's statistics give for the other (features {} and {})",
        a.key, b.key, a.feature, b.feature));
  }
}

}  // namespace

void check_camera_names(const dataset::Dataset& data, std::span<const std::string> keys,
                        std::vector<std::string>& warnings) {
  const auto& cameras = data.info().cameras;
  for (const std::string& key : keys) {
    const auto camera = cameras.find(key);
    if (camera == cameras.end()) {
      continue;
    }
    const std::string& feature = camera->second;
    const std::string last = feature.substr(feature.rfind('.') + 1);  // npos + 1 is 0
    if (last != key && std::ranges::find(keys, last) != keys.end()) {
      warnings.push_back(fmt::format(
          "camera \"{}\" is the feature {}, which is named like the policy's camera \"{}\": are "
          "cameras exchanged in meta/modality.json?",
          key, feature, last));
    }
  }
}

void check_camera_colours(const dataset::Dataset& data, std::span<const std::string> keys,
                          const io::Json& stats, dataset::Episode& episode,
                          std::vector<std::string>& warnings) {
  const io::Json of_episode = episode_stats(data, episode.index());
  std::vector<Camera> cameras;
  for (const std::string& key : keys) {
    const auto found = data.info().cameras.find(key);
    if (found == data.info().cameras.end()) {
      continue;
    }
    std::optional<Colour> written = feature_colour(of_episode, found->second);
    written = written ? written : feature_colour(stats, found->second);
    const std::optional<Colour> shown = written ? shown_colour(episode, key) : std::nullopt;
    if (shown) {
      cameras.push_back({key, found->second, *shown, *written});
      check_channels(cameras.back(), warnings);
    }
  }
  for (size_t i = 0; i < cameras.size(); ++i) {
    for (size_t j = i + 1; j < cameras.size(); ++j) {
      check_exchanged(cameras[i], cameras[j], warnings);
    }
  }
}

}  // namespace sinew::cli
