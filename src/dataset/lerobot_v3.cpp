// LeRobot v3.0: many episodes a data file, videos concatenated (spec/dataset.md section 5).
#include "base/error.h"
#include "dataset/lerobot.h"

namespace sinew::dataset {

Result<std::unique_ptr<Dataset>> open_v3(const std::filesystem::path& folder, Info /*info*/,
                                         const DatasetOptions& /*options*/) {
  return unsupported("{}: LeRobot v3.0 is not read yet", folder.string());
}

}  // namespace sinew::dataset
