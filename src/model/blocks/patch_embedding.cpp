#include "model/blocks/patch_embedding.h"

namespace sinew::model {

ops::Value patch_embedding(ops::Builder& b, const PatchEmbedding& a,
                           const std::function<void(ops::Value pixels)>& normalized) {
  return b.composite(a, [&] {
    const ops::Value pixels = b.normalize_frames(a.frames);
    normalized(pixels);
    const ops::Value patches = b.patchify(pixels, a.patch);  // [v*p, 3 * patch * patch]
    return b.add(b.linear(patches, a.w, a.b), a.positions);
  });
}

}  // namespace sinew::model
