// meta/modality.json: which slices of columns, cameras and annotations the policy's groups are
// (spec/dataset.md section 1.4), or a stand-in for a v3 data set that has none (section 5).
#pragma once

#include "dataset/dataset.h"
#include "dataset/info.h"
#include "io/json.h"

#include "sinew/result.h"

namespace sinew::dataset {

// Fills state, action, cameras and annotations of `out`. Errors: wrong types, a slice that is empty
// or negative, a camera that is no video or image feature of info.json (lists those).
Status parse_modality(const io::JsonView& json, const Info& info, DatasetInfo& out);

// One state and one action group over all dimensions, each camera by the last part of its name, and
// the annotation human.task_description on task_index; a notice says what was assumed.
void synthesise_modality(const Info& info, DatasetInfo& out);

}  // namespace sinew::dataset
