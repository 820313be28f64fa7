#include "io/npy.h"

#include "io/expect_error.h"
#include "io/file.h"
#include "io/safetensors.h"
#include "io/zip.h"
#include "support/temp_folder.h"

#include <gtest/gtest.h>

#include <limits>
#include <numeric>
#include <string>
#include <vector>

namespace sinew::io {
namespace {

using test::expect_error;
using test::TempFolder;

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

// A version 1.0 file with this header text.
std::string npy(const std::string& header, const std::string& data) {
  std::string file("\x93NUMPY\x01\x00", 8);
  file += static_cast<char>(header.size() & 0xffU);
  file += static_cast<char>(header.size() >> 8U);
  return file + header + data;
}

std::string with(const char* descr, const char* shape, const char* fortran = "False") {
  return std::string("{'descr': '") + descr + "', 'fortran_order': " + fortran +
         ", 'shape': " + shape + ", }\n";
}

void expect_refused(const std::string& file, const char* part) {
  expect_error(parse_npy(bytes_of(file), "x.npy"), Code::kBadInput, {"x.npy: ", part});
}

TEST(Npy, WritesTheBytesOfTheProtocolExample) {  // spec/protocol.md section A4
  const std::vector<float> values = {1.0F, -2.0F};
  const std::string expected =
      npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 2), }" + std::string(55, ' ') +
              "\n",
          std::string("\x00\x00\x80\x3f\x00\x00\x00\xc0", 8));
  EXPECT_EQ(format_npy({values.data(), DType::kF32, Shape{1, 1, 2}}), expected);
}

TEST(Npy, WritesTheBytesOfNumPy) {
  const MappedFile file = std::move(MappedFile::open("tests/golden/io/native.npz")).value();
  const std::vector<ZipMember> members = std::move(list_zip(file.bytes(), "native")).value();
  ASSERT_EQ(members.size(), 10U);
  for (const ZipMember& member : members) {
    const Buffer numpy = std::move(extract(member, "native", 1 << 20)).value();
    const std::span<const std::byte> bytes(numpy.data(), numpy.size_bytes());
    const NpyArray array = std::move(parse_npy(bytes, member.name)).value();
    const std::string ours = format_npy(array.view());
    EXPECT_TRUE(std::ranges::equal(std::as_bytes(std::span(ours)), bytes)) << member.name;
  }
}

TEST(Npy, ReadsValues) {
  const Npz npz = std::move(read_npz("tests/golden/io/native.npz")).value();
  EXPECT_EQ(npz.find("f4")->shape, (Shape{1, 16, 5}));
  EXPECT_EQ(npz.find("f4")->view().as<float>()[79], 79.0F / 8.0F);
  EXPECT_EQ(npz.find("f8")->shape.rank(), 0U);
  EXPECT_EQ(npz.find("f8")->view().as<double>()[0], 0.1);
  EXPECT_EQ(npz.find("i8")->view().as<int64_t>()[0], std::numeric_limits<int64_t>::min());
  EXPECT_EQ(npz.find("i4")->shape, (Shape{0, 3}));
  EXPECT_EQ(npz.find("none"), nullptr);
  EXPECT_TRUE(npz.strings.empty());
}

TEST(Npy, ConvertsByteOrderStorageOrderAndUnsignedNumbers) {
  const Npz npz = std::move(read_npz("tests/golden/io/foreign.npz")).value();
  std::vector<float> expected(24);
  std::iota(expected.begin(), expected.end(), 0.0F);
  EXPECT_EQ(npz.arrays.size(), 16U);
  for (const NpzMember& member : npz.arrays) {
    EXPECT_EQ(member.array.shape, (Shape{2, 3, 4})) << member.name;
    std::vector<float> values(24);
    convert_to_f32(member.array.view(), values);
    EXPECT_EQ(values, expected) << member.name;
  }
  EXPECT_EQ(npz.find("u2")->dtype, DType::kI32);
  EXPECT_EQ(npz.find("big_u4")->dtype, DType::kI64);
  EXPECT_EQ(npz.find("u8")->dtype, DType::kI64);
  EXPECT_EQ(npz.find("big_f2")->dtype, DType::kF16);
  const std::vector<std::pair<std::string, std::string>> strings = {
      {"language", "pick up the réd cube 🦾"}, {"language_big", "réd"}, {"metadata", "{}"}};
  EXPECT_EQ(npz.strings, strings);
}

TEST(Npy, AcceptsAnySpacing) {
  const std::string file =
      npy("{ \"shape\" :(2,) ,'fortran_order':True,'descr' :'|u1'}", std::string("\x05\x06", 2));
  const NpyArray array = std::move(parse_npy(bytes_of(file), "x")).value();
  EXPECT_EQ(array.view().as<uint8_t>()[1], 6);
  EXPECT_TRUE(parse_npy(bytes_of(npy(with("<i8", "(1L, 0L)"), "")), "x").ok());
}

TEST(Npy, WidensBf16AndNormalisesBools) {
  const std::vector<Bf16> values = {to_bf16(1.5F), to_bf16(-2.0F)};
  const std::string file = format_npy({values.data(), DType::kBf16, Shape{2}});
  const NpyArray array = std::move(parse_npy(bytes_of(file), "x")).value();
  EXPECT_EQ(array.view().as<float>()[1], -2.0F);
  const NpyArray bools =
      std::move(parse_npy(bytes_of(npy(with("|b1", "(3,)"), std::string("\0\1\7", 3))), "x"))
          .value();
  EXPECT_EQ(static_cast<const char*>(bools.view().data)[2], 1);
}

TEST(Npy, RefusesBadContainers) {
  expect_refused("", "expected a NumPy .npy file");
  expect_refused("\x93NUMPX12345678", "expected a NumPy .npy file");
  expect_refused(std::string("\x93NUMPY\x04\x00\x00\x00", 10), "found 4.0");
  expect_refused(std::string("\x93NUMPY\x01\x00\x05", 9), "the end of the file");
  expect_refused(std::string("\x93NUMPY\x02\x00\xff\xff\xff\xff{}", 14), "4294967295");
  expect_refused(npy(with("<f4", "(2,)"), "1234567"), "[2] items of 4 bytes");
  expect_refused(npy(with("<f4", "(2,)"), "123456789"), "found 9 bytes");
  expect_error(read_npy("tests/golden/io/none.npy"), Code::kNotFound, {"none.npy"});
}

TEST(Npy, RefusesBadHeaders) {
  for (const char* descr : {"|O", "<f16", "<c8", "<M8[ns]", "|V4", "<b1x", "<f", "f4", "<i3", ""}) {
    expect_refused(npy(with(descr, "(0,)"), ""), "found dtype \"");
  }
  expect_refused(npy(with("<U3", "()"), std::string(12, 'a')), "found strings");
  expect_refused(npy(with("<f4", "(1,1,1,1,1,1)"), "1234"), "rank at most 5, found rank 6");
  expect_refused(npy(with("<f8", "(4611686018427387904, 4)"), ""), "found 0 bytes");
  expect_refused(npy(with("|S0", "(4611686018427387904, 4)"), ""), "found 0 bytes");
  expect_refused(npy(with("<u8", "(1,)"), std::string(8, '\xff')), "below 2^63");
  for (const char* shape :
       {"(3)", "(-1,)", "(1 2)", "(,)", "3", "(99999999999999999999,)", "(1,", "()x"}) {
    expect_refused(npy(with("|u1", shape), ""), "expected an .npy header");
  }
  for (const char* header :
       {"", "{", "{}", "{'descr': '<f4'}",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': ()}",
        "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': ()}",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': ()}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (), 'more': 1}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': ()} x", "{'descr': '<f4"}) {
    expect_refused(npy(header, ""), "expected an .npy header");
  }
}

TEST(Npz, WritesWhatItReads) {
  const TempFolder folder;
  const std::vector<float> values = {1.0F, 2.0F};
  const std::vector<uint8_t> pixels(1000, 3);
  const std::vector<NpzWriteMember> members = {
      {"action.arm", {values.data(), DType::kF32, Shape{1, 2}}},
      {"vidéo", {pixels.data(), DType::kU8, Shape{10, 100}}}};
  ASSERT_TRUE(write_npz(folder / "a.npz", members).ok());
  const Npz npz = std::move(read_npz(folder / "a.npz")).value();
  ASSERT_EQ(npz.arrays.size(), 2U);
  EXPECT_EQ(npz.find("action.arm")->view().as<float>()[1], 2.0F);
  EXPECT_EQ(npz.find("vidéo")->shape, (Shape{10, 100}));
  ASSERT_TRUE(write_npz(folder / "none.npz", {}).ok());
  EXPECT_TRUE(read_npz(folder / "none.npz").value().arrays.empty());
}

TEST(Npz, RefusesToWriteBadNames) {
  const TempFolder folder;
  const ConstTensorView view(nullptr, DType::kF32, Shape{0});
  for (const std::vector<NpzWriteMember>& members :
       {std::vector<NpzWriteMember>{{"", view}}, {{"a", view}, {"a", view}}, {{"\xff", view}}}) {
    EXPECT_EQ(write_npz(folder / "a.npz", members).code(), Code::kBadInput);
  }
  EXPECT_FALSE(path_exists(folder / "a.npz"));
}

// A damaged copy of a small archive with one member, "a.npy", of one stored f4 array.
class DamagedNpz : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::vector<float> values(16, 1.0F);
    ASSERT_TRUE(
        write_npz(folder_ / "a.npz",
                  std::vector<NpzWriteMember>{{"a", {values.data(), DType::kF32, Shape{16}}}})
            .ok());
    file_ = read_file(folder_ / "a.npz").value();
    directory_ = file_.find("PK\x01\x02");
    end_ = file_.find("PK\x05\x06");
  }

  void expect_refused(size_t at, const std::string& replacement, const char* part) const {
    std::string damaged = file_;
    damaged.replace(at, replacement.size(), replacement);
    expect_error(parse_npz(bytes_of(damaged), "a.npz"), Code::kBadInput, {"a.npz: ", part});
  }

  TempFolder folder_;
  std::string file_;
  size_t directory_ = 0;
  size_t end_ = 0;
};

TEST_F(DamagedNpz, IsRefused) {
  EXPECT_TRUE(parse_npz(bytes_of(file_), "a.npz").ok());
  expect_refused(end_, "XX", "no zip directory");
  expect_refused(end_ + 4, "\x01", "several disks");
  expect_refused(end_ + 12, "\xff\xff\xff\x7f", "expected the zip directory within");
  expect_refused(end_ + 16, "\xff\xff\xff\xff", "ZIP64");
  expect_refused(directory_, "XX", "expected a zip directory entry");
  expect_refused(directory_ + 8, "\x01", "encrypted");
  expect_refused(directory_ + 10, "\x0c", "found compression 12");
  expect_refused(directory_ + 16, "XXXX", "expected the checksum 58585858");
  expect_refused(directory_ + 20, "\xff\xff\xff\x7f", "the end of the archive");
  expect_refused(directory_ + 24, "\xff", "cannot be the");
  expect_refused(directory_ + 24, "\xff\xff\xff\x7f", "at most 1073741824 bytes");
  expect_refused(directory_ + 28, "\xff\xff", "cut off");
  expect_refused(directory_ + 42, "\x01", "expected its header at 1");
  expect_refused(directory_ + 46, "b", "another name");
  expect_refused(directory_ + 46, "\xff", "no UTF-8 name");
  expect_refused(directory_ + 10, "\x08", "compressed bytes are damaged");
  for (size_t size = 0; size < file_.size(); size += 7) {
    EXPECT_FALSE(parse_npz(bytes_of(file_).first(size), "a.npz").ok()) << size;
  }
}

TEST_F(DamagedNpz, LimitsMembers) {
  expect_error(parse_npz(bytes_of(file_), "a.npz", 100), Code::kBadInput, {"at most 100 bytes"});
}

TEST_F(DamagedNpz, RefusesRepeatedMembers) {
  const std::string entry = file_.substr(directory_, end_ - directory_);
  std::string twice = file_.substr(0, end_) + entry + file_.substr(end_);
  const size_t end = end_ + entry.size();
  twice[end + 8] = twice[end + 10] = 2;  // entries
  twice[end + 12] = static_cast<char>(2 * entry.size());
  expect_error(parse_npz(bytes_of(twice), "a.npz"), Code::kBadInput, {"a.npy occurs twice"});
}

TEST_F(DamagedNpz, RefusesSharedBytes) {
  // The bytes of the member "b" are themselves the member "a.npy".
  ASSERT_TRUE(
      write_zip(folder_ / "b.npz", std::vector<ZipSource>{{"b", file_.substr(0, directory_)}})
          .ok());
  std::string outer = read_file(folder_ / "b.npz").value();
  std::string inner = file_.substr(directory_, end_ - directory_);
  inner[42] = 30 + 1;  // behind the local header of "b"
  const size_t end = outer.find("PK\x05\x06") + inner.size();
  outer.insert(end - inner.size(), inner);
  outer[end + 8] = outer[end + 10] = 2;  // entries
  outer[end + 12] = static_cast<char>(outer[end + 12] + static_cast<char>(inner.size()));
  expect_error(list_zip(bytes_of(outer), "b.npz"), Code::kBadInput, {"share bytes at 31"});
}

TEST(Npz, RefusesOtherMembers) {
  const TempFolder folder;
  const auto path = folder / "a.npz";
  ASSERT_TRUE(write_zip(path, std::vector<ZipSource>{{"a.txt", "x"}}).ok());
  expect_error(read_npz(path), Code::kBadInput, {"named <name>.npy, found a.txt"});
  ASSERT_TRUE(write_zip(path, std::vector<ZipSource>{{".npy", "x"}}).ok());
  EXPECT_FALSE(read_npz(path).ok());
  ASSERT_TRUE(
      write_zip(path, std::vector<ZipSource>{{"s.npy", npy(with("<U1", "(2,)"), "12345678")}})
          .ok());
  expect_error(read_npz(path), Code::kBadInput, {"member s.npy: expected one string"});
  ASSERT_TRUE(write_zip(path, std::vector<ZipSource>{{"s.npy", npy(with("<U1", "()"),
                                                                   std::string("\0\xd8\0\0", 4))}})
                  .ok());
  expect_error(read_npz(path), Code::kBadInput, {"expected Unicode text"});
  ASSERT_TRUE(
      write_zip(path, std::vector<ZipSource>{{"s.npy", npy(with("|S2", "()"), "\xc3x")}}).ok());
  expect_error(read_npz(path), Code::kBadInput, {"expected Unicode text"});
}

}  // namespace
}  // namespace sinew::io
