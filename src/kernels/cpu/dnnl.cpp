#include "kernels/cpu/dnnl.h"

#include "base/check.h"
#include "base/error.h"
#include "tensor/buffer.h"
#include "tensor/convert.h"

#include <oneapi/dnnl/dnnl.hpp>

#include <array>
#include <new>
#include <span>
#include <string>
#include <utility>

namespace sinew::cpu {
namespace {

using dnnl::memory;

constexpr auto kF32 = memory::data_type::f32;

memory::desc row_major(int64_t rows, int64_t columns) {
  return {{rows, columns}, kF32, memory::format_tag::ab};
}

// oneDNN 2 and 3 differ in how a primitive is described; everything else is common to both.
dnnl::matmul::primitive_desc describe(const dnnl::engine& engine, const memory::desc& x,
                                      const memory::desc& w, const memory::desc& bias,
                                      const memory::desc& y) {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
#if DNNL_VERSION_MAJOR >= 3
  return {engine, x, w, bias, y, attributes};
#else
  return {dnnl::matmul::desc(x, w, bias, y), attributes, engine};
#endif
}

dnnl::matmul::primitive_desc describe_rows(const dnnl::engine& engine, int64_t rows, int64_t inputs,
                                           int64_t outputs, const memory::desc& w, bool has_bias) {
  const memory::desc bias = has_bias ? row_major(1, outputs) : memory::desc();
  return describe(engine, row_major(rows, inputs), w, bias, row_major(rows, outputs));
}

bool is_optimised(std::string_view implementation) {
  return implementation.find("ref") == std::string_view::npos;
}

// Calls a body that may throw the library's exception or std::bad_alloc.
template <class Body>
auto guarded(std::string_view what, Body&& body) -> decltype(body()) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return error(Code::kOutOfMemory, "{}: out of memory", what);
  } catch (const dnnl::error& e) {
    return e.status == dnnl_out_of_memory ? error(Code::kOutOfMemory, "{}: out of memory", what)
                                          : internal_error("{}: oneDNN reports {}", what, e.what());
  }
}

}  // namespace

struct PackedMatrix::Impl {
  dnnl::engine engine;
  memory::desc layout;
  memory weights;
  Buffer buffer;
  int64_t inputs = 0;
  int64_t outputs = 0;
};

PackedMatrix::PackedMatrix(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

PackedMatrix::~PackedMatrix() = default;

int64_t PackedMatrix::inputs() const {
  return impl_->inputs;
}

int64_t PackedMatrix::outputs() const {
  return impl_->outputs;
}

size_t PackedMatrix::bytes() const {
  return impl_->buffer.size_bytes();
}

bool PackedMatrix::suits(int64_t rows) const {
  try {
    const auto description = describe_rows(impl_->engine, rows, impl_->inputs, impl_->outputs,
                                           impl_->layout, /*has_bias=*/true);
    return is_optimised(description.impl_info_str());
  } catch (const dnnl::error&) {
    return false;
  }
}

Result<std::unique_ptr<PackedMatrix>> PackedMatrix::make(const ConstTensorView& weight,
                                                         bool weights_in_out, int64_t inputs,
                                                         int64_t outputs, int64_t rows) {
  SINEW_CHECK(inputs > 0 && outputs > 0 && rows > 0);
  SINEW_CHECK(weight.shape.elements() == inputs * outputs);
  const auto elements = static_cast<size_t>(weight.shape.elements());
  SINEW_ASSIGN(Buffer plain, Buffer::allocate(elements * sizeof(float)));
  auto* plain_data = reinterpret_cast<float*>(plain.data());
  convert_to_f32(weight, std::span(plain_data, elements), ParameterRounding::kBf16);

  auto pack = [&]() -> Result<std::unique_ptr<PackedMatrix>> {
    auto impl = std::make_unique<Impl>();
    impl->inputs = inputs;
    impl->outputs = outputs;
    impl->engine = dnnl::engine(dnnl::engine::kind::cpu, 0);
    const memory::desc any({inputs, outputs}, kF32, memory::format_tag::any);
    impl->layout =
        describe_rows(impl->engine, rows, inputs, outputs, any, /*has_bias=*/true).weights_desc();
    SINEW_ASSIGN(impl->buffer, Buffer::allocate(impl->layout.get_size()));
    impl->weights = memory(impl->layout, impl->engine, impl->buffer.data());

    const memory::desc stored({inputs, outputs}, kF32,
                              weights_in_out ? memory::format_tag::ab : memory::format_tag::ba);
    memory source(stored, impl->engine, plain_data);
    dnnl::stream stream(impl->engine);
    dnnl::reorder(source, impl->weights).execute(stream, source, impl->weights);
    stream.wait();
    return std::unique_ptr<PackedMatrix>(new PackedMatrix(std::move(impl)));
  };
  return guarded("packing a weight matrix", pack);
}

struct Matmul::Impl {
  dnnl::matmul primitive;
  dnnl::stream stream;
  memory x;
  memory weights;
  memory bias;
  memory y;
  memory scratchpad;
  std::byte* scratchpad_data = nullptr;
  size_t scratchpad_bytes = 0;
  std::array<dnnl_exec_arg_t, 5> arguments{};
  int argument_count = 0;
  std::string implementation;

  void add_argument(int index, const memory& value) {
    arguments[static_cast<size_t>(argument_count++)] = {index, value.get()};
  }
};

Matmul::Matmul(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Matmul::~Matmul() = default;

Result<std::unique_ptr<Matmul>> Matmul::make(const PackedMatrix& matrix, int64_t rows,
                                             const float* x, const float* bias, float* y) {
  auto prepare = [&]() -> Result<std::unique_ptr<Matmul>> {
    const PackedMatrix::Impl& packed = *matrix.impl_;
    const auto description = describe_rows(packed.engine, rows, packed.inputs, packed.outputs,
                                           packed.layout, bias != nullptr);
    auto impl = std::make_unique<Impl>();
    impl->implementation = description.impl_info_str();
    impl->primitive = dnnl::matmul(description);
    impl->stream = dnnl::stream(packed.engine);
    // The library takes sources as void*; it writes only to y and to the scratchpad.
    impl->x = memory(description.src_desc(), packed.engine, const_cast<float*>(x));
    impl->weights = packed.weights;
    impl->y = memory(description.dst_desc(), packed.engine, y);
    impl->add_argument(DNNL_ARG_SRC, impl->x);
    impl->add_argument(DNNL_ARG_WEIGHTS, impl->weights);
    impl->add_argument(DNNL_ARG_DST, impl->y);
    if (bias != nullptr) {
      impl->bias = memory(row_major(1, packed.outputs), packed.engine, const_cast<float*>(bias));
      impl->add_argument(DNNL_ARG_BIAS, impl->bias);
    }
    const memory::desc scratchpad = description.scratchpad_desc();
    impl->scratchpad_bytes = scratchpad.get_size();
    if (impl->scratchpad_bytes > 0) {
      impl->scratchpad = memory(scratchpad, packed.engine, nullptr);
      impl->add_argument(DNNL_ARG_SCRATCHPAD, impl->scratchpad);
    }
    return std::unique_ptr<Matmul>(new Matmul(std::move(impl)));
  };
  return guarded("preparing a matrix product", prepare);
}

size_t Matmul::workspace_bytes() const {
  return impl_->scratchpad_bytes;
}

std::string_view Matmul::implementation() const {
  return impl_->implementation;
}

void Matmul::run(std::byte* workspace) {
  Impl& m = *impl_;
  // The C calls: the C++ ones build a map and a vector each time, and throw.
  if (m.scratchpad_bytes > 0 && m.scratchpad_data != workspace) {
    const dnnl_status_t set = dnnl_memory_set_data_handle(m.scratchpad.get(), workspace);
    SINEW_CHECK(set == dnnl_success);
    m.scratchpad_data = workspace;
  }
  const dnnl_status_t ran = dnnl_primitive_execute(m.primitive.get(), m.stream.get(),
                                                   m.argument_count, m.arguments.data());
  SINEW_CHECK(ran == dnnl_success);
}

}  // namespace sinew::cpu
