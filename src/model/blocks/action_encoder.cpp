#include "model/blocks/action_encoder.h"

namespace sinew::model {

ops::Value action_encoder(ops::Builder& b, const ActionEncoder& a) {
  return b.composite(a, [&] {
    const int64_t d = b.shape(a.w.out_w)[0];
    const ops::Value actions =
        b.linear(a.x, a.w.in_w, a.w.in_b, /*weights_in_out=*/true);  // [k, d]
    const ops::Value action_mix =
        b.linear(actions, b.slice_rows(a.w.mix_w, 0, d), {}, /*weights_in_out=*/true);
    const ops::Value z = b.add(action_mix, a.tau_mix);
    return b.linear(b.silu(z), a.w.out_w, a.w.out_b, /*weights_in_out=*/true);
  });
}

ops::Value action_time(ops::Builder& b, const ActionEncoderWeights& w, int64_t time) {
  const int64_t d = b.shape(w.out_w)[0];
  const ops::Value tau =
      b.time_sinusoid({.form = ops::SinusoidForm::kSinCosExclusive, .time = time, .half = d / 2});
  return b.linear(tau, b.slice_rows(w.mix_w, d, d), w.mix_b, /*weights_in_out=*/true);
}

}  // namespace sinew::model
