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

// H.264 (x264) with B frames and open groups of pictures: the first frames that are shown after a
// key frame refer to the group before it.
void encode_open_gop(const std::filesystem::path& input, const std::filesystem::path& output,
                     int gop);

// The packets as they are, with an edit list that starts the presentation `frames` frames later.
void cut_start(const std::filesystem::path& input, const std::filesystem::path& output, int frames,
               int fps);

}  // namespace sinew::test
