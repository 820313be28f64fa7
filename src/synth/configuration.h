// The JSON files of a made-up checkpoint, each from the profile's numbers.
#pragma once

#include "io/json.h"
#include "synth/profile.h"

namespace sinew::synth {

io::Json policy_config(const Profile& profile);     // config.json
io::Json vlm_config(const Profile& profile);        // eagle/config.json
io::Json processor_config(const Profile& profile);  // processor_config.json
io::Json statistics(const Profile& profile);        // statistics.json
io::Json embodiment_ids(const Profile& profile);    // embodiment_id.json

}  // namespace sinew::synth
