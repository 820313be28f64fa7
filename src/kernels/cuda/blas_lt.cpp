#include "kernels/cuda/blas_lt.h"

#include "base/error.h"

#include <cublasLt.h>
#include <dlfcn.h>

#include <vector>

namespace sinew::cuda {
namespace {

constexpr uint64_t kMaxWorkspaceBytes = uint64_t{32} << 20;

std::vector<std::string> library_names() {
  const std::string name = fmt::format("libcublasLt.so.{}", CUBLAS_VER_MAJOR);
  // The loader's own search first (LD_LIBRARY_PATH, ldconfig), then where toolkits lie.
  std::vector<std::string> names{name};
  for (const char* folder : {SINEW_CUDA_LIBRARY_FOLDER, "/usr/local/cuda/lib64"}) {
    names.push_back(fmt::format("{}/{}", folder, name));
  }
  return names;
}

template <class T>
cublasStatus_t set(cublasStatus_t (*setter)(cublasLtMatmulDesc_t, cublasLtMatmulDescAttributes_t,
                                            const void*, size_t),
                   cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t attribute,
                   const T& value) {
  return setter(desc, attribute, &value, sizeof(value));
}

cudaDataType_t data_type(DType dtype) {
  return dtype == DType::kBf16 ? CUDA_R_16BF : CUDA_R_32F;
}

}  // namespace

struct BlasLt::Library {
  void* handle = nullptr;
  cublasLtHandle_t lt = nullptr;

  decltype(&cublasLtCreate) create = nullptr;
  decltype(&cublasLtDestroy) destroy = nullptr;
  decltype(&cublasLtGetVersion) get_version = nullptr;
  decltype(&cublasLtGetStatusName) status_name = nullptr;
  decltype(&cublasLtMatmulDescCreate) desc_create = nullptr;
  decltype(&cublasLtMatmulDescDestroy) desc_destroy = nullptr;
  decltype(&cublasLtMatmulDescSetAttribute) desc_set = nullptr;
  decltype(&cublasLtMatrixLayoutCreate) layout_create = nullptr;
  decltype(&cublasLtMatrixLayoutDestroy) layout_destroy = nullptr;
  decltype(&cublasLtMatmulPreferenceCreate) preference_create = nullptr;
  decltype(&cublasLtMatmulPreferenceDestroy) preference_destroy = nullptr;
  decltype(&cublasLtMatmulPreferenceSetAttribute) preference_set = nullptr;
  decltype(&cublasLtMatmulAlgoGetHeuristic) heuristic = nullptr;
  decltype(&cublasLtMatmul) matmul = nullptr;

  Library() = default;
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  ~Library() {
    if (lt != nullptr) {
      destroy(lt);
    }
    if (handle != nullptr) {
      dlclose(handle);
    }
  }

  template <class F>
  bool find(F& function, const char* name) {
    function = reinterpret_cast<F>(dlsym(handle, name));
    return function != nullptr;
  }

  bool find_all() {
    return find(create, "cublasLtCreate") && find(destroy, "cublasLtDestroy") &&
           find(get_version, "cublasLtGetVersion") && find(status_name, "cublasLtGetStatusName") &&
           find(desc_create, "cublasLtMatmulDescCreate") &&
           find(desc_destroy, "cublasLtMatmulDescDestroy") &&
           find(desc_set, "cublasLtMatmulDescSetAttribute") &&
           find(layout_create, "cublasLtMatrixLayoutCreate") &&
           find(layout_destroy, "cublasLtMatrixLayoutDestroy") &&
           find(preference_create, "cublasLtMatmulPreferenceCreate") &&
           find(preference_destroy, "cublasLtMatmulPreferenceDestroy") &&
           find(preference_set, "cublasLtMatmulPreferenceSetAttribute") &&
           find(heuristic, "cublasLtMatmulAlgoGetHeuristic") && find(matmul, "cublasLtMatmul");
  }

  Status check(cublasStatus_t status, const char* what) const {
    if (status == CUBLAS_STATUS_SUCCESS) {
      return {};
    }
    return error(Code::kDevice, "{}: cuBLASLt answered {}", what, status_name(status));
  }
};

// Row-major matrices are the transposes of the library's column-major ones, so it computes
// y^T = w x^T: its first operand is w, its second x.
struct BlasLt::Plan {
  const Library& library;
  cublasLtMatmulDesc_t desc = nullptr;
  cublasLtMatrixLayout_t w = nullptr;
  cublasLtMatrixLayout_t x = nullptr;
  cublasLtMatrixLayout_t y = nullptr;
  cublasLtMatmulAlgo_t algorithm{};
  size_t workspace_bytes = 0;
  bool has_bias = false;
  bool is_found = false;

  explicit Plan(const Library& library_in) : library(library_in) {}

  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;

  ~Plan() {
    for (cublasLtMatrixLayout_t layout : {w, x, y}) {
      if (layout != nullptr) {
        library.layout_destroy(layout);
      }
    }
    if (desc != nullptr) {
      library.desc_destroy(desc);
    }
  }

  Status describe(const Product& p) {
    const cudaDataType_t type = data_type(p.operands);
    SINEW_TRY(library.check(library.desc_create(&desc, CUBLAS_COMPUTE_32F, CUDA_R_32F),
                            "describing a product"));
    const cublasOperation_t transpose = p.weights_in_out ? CUBLAS_OP_N : CUBLAS_OP_T;
    SINEW_TRY(library.check(set(library.desc_set, desc, CUBLASLT_MATMUL_DESC_TRANSA, transpose),
                            "describing a product"));
    has_bias = p.has_bias;
    if (has_bias) {
      const cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_BIAS;
      SINEW_TRY(library.check(set(library.desc_set, desc, CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue),
                              "describing a bias"));
      const cudaDataType_t bias_type = data_type(p.result);
      SINEW_TRY(
          library.check(set(library.desc_set, desc, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, bias_type),
                        "describing a bias"));
    }
    const auto rows = static_cast<uint64_t>(p.rows);
    const auto inputs = static_cast<uint64_t>(p.inputs);
    const auto outputs = static_cast<uint64_t>(p.outputs);
    SINEW_TRY(library.check(p.weights_in_out
                                ? library.layout_create(&w, type, outputs, inputs, p.outputs)
                                : library.layout_create(&w, type, inputs, outputs, p.inputs),
                            "describing a matrix"));
    SINEW_TRY(library.check(library.layout_create(&x, type, inputs, rows, p.inputs),
                            "describing a matrix"));
    return library.check(library.layout_create(&y, data_type(p.result), outputs, rows, p.outputs),
                         "describing a matrix");
  }

  Status choose(const Product& p) {
    cublasLtMatmulPreference_t preference = nullptr;
    SINEW_TRY(library.check(library.preference_create(&preference), "choosing a product"));
    const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t attribute, auto value) {
      return library.preference_set(preference, attribute, &value, sizeof(value));
    };
    // Partial sums in a workspace, added in order: no atomics, so that runs are repeatable.
    const auto reductions = static_cast<uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE);
    cublasStatus_t status = CUBLAS_STATUS_SUCCESS;
    for (const cublasStatus_t answer :
         {prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, kMaxWorkspaceBytes),
          prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, reductions),
          prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, p.w_alignment),
          prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, p.x_alignment),
          prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, p.y_alignment),
          prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, p.y_alignment)}) {
      status = status == CUBLAS_STATUS_SUCCESS ? answer : status;
    }
    cublasLtMatmulHeuristicResult_t found{};
    int count = 0;
    if (status == CUBLAS_STATUS_SUCCESS) {
      const cublasStatus_t answer =
          library.heuristic(library.lt, desc, w, x, y, y, preference, 1, &found, &count);
      is_found =
          answer == CUBLAS_STATUS_SUCCESS && count > 0 && found.state == CUBLAS_STATUS_SUCCESS;
    }
    library.preference_destroy(preference);
    algorithm = found.algo;
    workspace_bytes = found.workspaceSize;
    return library.check(status, "choosing a product");
  }
};

BlasLt::BlasLt(std::unique_ptr<Library> library) : library_(std::move(library)) {}

BlasLt::~BlasLt() = default;

Result<std::unique_ptr<BlasLt>> BlasLt::open() {
  auto library = std::make_unique<Library>();
  std::string tried;
  std::string where;
  for (const std::string& name : library_names()) {
    library->handle = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library->handle != nullptr) {
      where = name;
      break;
    }
    tried += (tried.empty() ? "" : ", ") + name;
  }
  if (library->handle == nullptr) {
    return error(Code::kDevice,
                 "cuBLASLt is not installed (tried {}): install NVIDIA's cuBLAS {} and name its "
                 "folder in LD_LIBRARY_PATH, or use --device cpu",
                 tried, CUBLAS_VER_MAJOR);
  }
  if (!library->find_all()) {
    return error(Code::kDevice, "{}: it lacks functions of cuBLASLt {}.{}", where, CUBLAS_VER_MAJOR,
                 CUBLAS_VER_MINOR);
  }
  SINEW_TRY(library->check(library->create(&library->lt), "starting cuBLASLt"));
  const size_t version = library->get_version();  // 130100: 13.1.0
  std::unique_ptr<BlasLt> blas(new BlasLt(std::move(library)));
  blas->version_ =
      fmt::format("{}.{}.{} ({})", version / 10000, version / 100 % 100, version % 100, where);
  return blas;
}

Result<const BlasLt::Plan*> BlasLt::plan(const Product& product) {
  auto found = plans_.find(product);
  if (found == plans_.end()) {
    auto made = std::make_unique<Plan>(*library_);
    SINEW_TRY(made->describe(product));
    SINEW_TRY(made->choose(product));
    found = plans_.emplace(product, std::move(made)).first;
  }
  return found->second->is_found ? found->second.get() : nullptr;
}

size_t BlasLt::workspace_bytes(const Plan& plan) {
  return plan.workspace_bytes;
}

Status BlasLt::run(const Plan& plan, const void* x, const void* w, const void* bias, void* y,
                   std::byte* workspace, Stream stream) const {
  if (plan.has_bias) {
    SINEW_TRY(library_->check(
        set(library_->desc_set, plan.desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias), "a product"));
  }
  const float one = 1;
  const float zero = 0;
  return library_->check(
      library_->matmul(library_->lt, plan.desc, &one, w, plan.w, x, plan.x, &zero, y, plan.y, y,
                       plan.y, &plan.algorithm, workspace, plan.workspace_bytes, stream),
      "a product");
}

}  // namespace sinew::cuda
