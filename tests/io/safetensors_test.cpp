#include "io/safetensors.h"

#include "io/expect_error.h"
#include "support/temp_folder.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

namespace sinew::io {
namespace {

using test::expect_error;
using test::TempFolder;

std::string container(const std::string& header, size_t data_bytes) {
  const uint64_t length = header.size();
  std::string bytes(sizeof(length), '\0');
  std::memcpy(bytes.data(), &length, sizeof(length));
  return bytes + header + std::string(data_bytes, '\1');
}

Result<SafetensorsHeader> parse(const std::string& bytes) {
  return parse_safetensors(std::as_bytes(std::span(bytes)), "s.safetensors");
}

void expect_refused(const std::string& header, size_t data_bytes, const char* part) {
  expect_error(parse(container(header, data_bytes)), Code::kBadInput,
               {"s.safetensors: header", part});
}

TEST(Safetensors, ReadsHeaderAndMetadata) {
  const std::string bytes = container(
      R"({"b":{"dtype":"U8","shape":[2,3],"data_offsets":[4,10]},"__metadata__":{"k":"v"},)"
      R"("a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"e":{"dtype":"I64","shape":[0,9],"data_offsets":[4,4]}}  )",
      10);
  const SafetensorsHeader header = std::move(parse(bytes)).value();
  ASSERT_EQ(header.tensors.size(), 3U);
  EXPECT_EQ(header.tensors[0].name, "a");
  EXPECT_EQ(header.tensors[1].view.shape, (Shape{2, 3}));
  EXPECT_EQ(static_cast<const char*>(header.tensors[1].view.data) + 6, bytes.data() + bytes.size());
  EXPECT_EQ(header.metadata.at("k"), "v");
}

TEST(Safetensors, RefusesBadLengths) {
  expect_error(parse("1234567"), Code::kBadInput, {"at least 8 bytes, found 7", "fetch it again"});
  expect_error(parse(""), Code::kBadInput, {"found 0"});
  expect_error(parse(std::string(7, '\0') + "\x80{}"), Code::kBadInput,
               {"at most 2 bytes", "9223372036854775808"});
  EXPECT_FALSE(parse(container("{}", 0).substr(0, 9)).ok());
  expect_error(parse(container("[]", 0)), Code::kBadInput, {"expected an object"});
  EXPECT_TRUE(parse(container("{}", 0)).ok());
}

TEST(Safetensors, RefusesBadTensors) {
  const auto one = [](const std::string& dtype, const std::string& shape,
                      const std::string& offsets) {
    return R"({"t":{"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets +
           "}}";
  };
  expect_refused(one("\"F8\"", "[1]", "[0,1]"), 1, "t.dtype: expected one of F32");
  expect_refused(one("3", "[1]", "[0,1]"), 1, "t.dtype: expected a string");
  expect_refused(one("\"U8\"", "[-1]", "[0,1]"), 1,
                 "t.shape[0]: expected an integer of at least 0");
  expect_refused(one("\"U8\"", "[1,1,1,1,1,1]", "[0,1]"), 1, "at most 5 extents, found 6");
  expect_refused(one("\"F64\"", "[4611686018427387904,4]", "[0,1]"), 1, "overflows");
  expect_refused(one("\"U8\"", "[1]", "[0]"), 1, "expected [begin, end]");
  expect_refused(one("\"U8\"", "[1]", "[1,0]"), 1, "expected [begin, end]");
  expect_refused(one("\"U8\"", "[1]", "[-1,0]"), 1, "expected [begin, end]");
  expect_refused(one("\"U8\"", "[2]", "[0,2]"), 1, "an end within the 1 data bytes, found 2");
  expect_refused(one("\"F32\"", "[2]", "[0,4]"), 4, "expected 8 bytes for F32 [2], found 0 to 4");
  expect_error(parse(container(R"({"t":{"dtype":"U8","shape":[1]}})", 1)), Code::kNotFound,
               {"t: the key \"data_offsets\" is missing"});
  expect_refused(R"({"__metadata__":{"a":1}})", 0, "__metadata__.a: expected a string");
}

TEST(Safetensors, RefusesOverlapsGapsAndTrailingBytes) {
  const auto two = [](const std::string& first, const std::string& second) {
    return R"({"a":{"dtype":"U8","shape":[2],"data_offsets":)" + first +
           R"(},"b":{"dtype":"U8","shape":[2],"data_offsets":)" + second + "}}";
  };
  EXPECT_TRUE(parse(container(two("[2,4]", "[0,2]"), 4)).ok());
  expect_refused(two("[0,2]", "[0,2]"), 4, "b to begin at 2, found 0 (they overlap");
  expect_refused(two("[0,2]", "[1,3]"), 4, "overlap");
  expect_refused(two("[0,2]", "[3,5]"), 5, "a gap");
  expect_refused(two("[0,2]", "[2,4]"), 5, "cover all 5 data bytes, found 4");
  expect_refused(R"({"a":{},"a":{}})", 0, "occurs twice");
}

TEST(Safetensors, WritesWhatItReads) {
  const TempFolder folder;
  const std::vector<float> x = {1.0F, -2.5F, 3.0F};
  const std::vector<uint8_t> y = {7, 8, 9, 10};
  const std::vector<NamedTensor> tensors = {{"y", {y.data(), DType::kU8, Shape{4}}},
                                            {"x", {x.data(), DType::kF32, Shape{3, 1}}},
                                            {"none", {nullptr, DType::kF32, Shape{0}}}};
  const auto path = folder / "t.safetensors";
  ASSERT_TRUE(write_safetensors(path, tensors, {{"language", "pick it up"}}).ok());
  const SafetensorsFile file = std::move(SafetensorsFile::open(path)).value();
  EXPECT_EQ(file.metadata().at("language"), "pick it up");
  ASSERT_NE(file.find("x"), nullptr);
  EXPECT_EQ(file.find("w"), nullptr);
  EXPECT_EQ(file.find("x")->view.shape, (Shape{3, 1}));
  EXPECT_EQ(std::memcmp(file.find("x")->view.data, x.data(), 12), 0);
  // The data begins at a multiple of 64 bytes of the file, with the first tensor that was given.
  EXPECT_EQ(reinterpret_cast<uintptr_t>(file.find("y")->view.data) % 64, 0U);
  EXPECT_EQ(file.tensors().size(), 3U);
}

TEST(Safetensors, RefusesToWriteBadNames) {
  const TempFolder folder;
  const auto path = folder / "t.safetensors";
  const ConstTensorView view(nullptr, DType::kF32, Shape{0});
  expect_error(write_safetensors(path, std::vector<NamedTensor>{{"a", view}, {"a", view}}),
               Code::kBadInput, {"two tensors named a"});
  EXPECT_FALSE(write_safetensors(path, std::vector<NamedTensor>{{"__metadata__", view}}).ok());
  expect_error(write_safetensors(path, std::vector<NamedTensor>{{"\xff", view}}), Code::kBadInput,
               {"UTF-8"});
  EXPECT_FALSE(path_exists(path));
}

TEST(Safetensors, NamesTheFile) {
  const TempFolder folder;
  expect_error(SafetensorsFile::open(folder / "none.safetensors"), Code::kNotFound,
               {"none.safetensors"});
  ASSERT_TRUE(write_file_atomic(folder / "empty.safetensors", std::string_view("")).ok());
  expect_error(SafetensorsFile::open(folder / "empty.safetensors"), Code::kBadInput,
               {"empty.safetensors", "found 0"});
}

template <class T>
void expect_converts(DType dtype, const std::vector<T>& values,
                     const std::vector<float>& expected) {
  std::string bytes("?");  // puts the values at an odd address
  bytes.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
  std::vector<float> converted(values.size());
  convert_to_f32({bytes.data() + 1, dtype, Shape{static_cast<int64_t>(values.size())}}, converted);
  EXPECT_EQ(converted, expected) << dtype_name(dtype);
}

TEST(ConvertToF32, HandlesEveryTypeUnaligned) {
  expect_converts<float>(DType::kF32, {1.5F, -0.0F}, {1.5F, 0.0F});
  expect_converts<Bf16>(DType::kBf16, {to_bf16(-2.5F), {0x7f80}}, {-2.5F, INFINITY});
  expect_converts<F16>(DType::kF16, {to_f16(0.333251953125F)}, {0.333251953125F});
  expect_converts<double>(DType::kF64, {0.1, 1e300}, {0.1F, INFINITY});
  expect_converts<int64_t>(DType::kI64, {16777217, -3}, {16777216.0F, -3.0F});
  expect_converts<int32_t>(DType::kI32, {-7}, {-7.0F});
  expect_converts<int16_t>(DType::kI16, {-32768}, {-32768.0F});
  expect_converts<int8_t>(DType::kI8, {-128}, {-128.0F});
  expect_converts<uint8_t>(DType::kU8, {255}, {255.0F});
  expect_converts<uint8_t>(DType::kBool, {0, 1, 2}, {0.0F, 1.0F, 1.0F});
}

}  // namespace
}  // namespace sinew::io
