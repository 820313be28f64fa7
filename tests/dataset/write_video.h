// Makes videos for tests out of others without changing a single decoded sample.
#pragma once

#include <filesystem>
#include <vector>

namespace sinew::test {

// One MP4 of the packets of several, one after the other, as LeRobot v3 keeps episodes. All inputs
// need the same codec parameters, and `frames_each` frames at `fps`.
void concatenate_videos(const std::vector<std::filesystem::path>& inputs,
                        const std::filesystem::path& output, int frames_each, int fps);

// Lossless AV1 (libaom) of the decoded planes, a key frame every `gop` frames.
void encode_av1(const std::filesystem::path& input, const std::filesystem::path& output, int gop);

}  // namespace sinew::test
