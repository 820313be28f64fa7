#include "io/file.h"

#include "io/expect_error.h"
#include "support/temp_folder.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>
#include <string>
#include <utility>

namespace sinew::io {
namespace {

using test::expect_error;
using test::TempFolder;

size_t files_in(const std::filesystem::path& folder) {
  size_t n = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder)) {
    ++n;
  }
  return n;
}

TEST(File, WritesReadsAndReplaces) {
  const TempFolder folder;
  const auto path = folder / "a.bin";
  ASSERT_TRUE(write_file_atomic(path, std::string_view("first, longer")).ok());
  const std::string bytes("se\0ond", 6);
  ASSERT_TRUE(write_file_atomic(path, bytes).ok());
  EXPECT_EQ(read_file(path).value(), bytes);
  EXPECT_EQ(files_in(folder.path()), 1U);
}

TEST(File, NamesWhatIsWrong) {
  const TempFolder folder;
  expect_error(read_file(folder / "none"), Code::kNotFound, {"none", "no such file"});
  expect_error(read_file(folder.path()), Code::kBadInput, {"found a folder"});
  ASSERT_TRUE(write_file_atomic(folder / "big", std::string_view("12345")).ok());
  expect_error(read_file(folder / "big", 4), Code::kBadInput, {"at most 4 bytes, found 5"});
  const std::string fifo = (folder / "fifo").string();
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  expect_error(read_file(fifo), Code::kBadInput, {"regular file"});
}

TEST(File, KnowsGitLfsPointers) {
  const TempFolder folder;
  const auto path = folder / "model.safetensors";
  ASSERT_TRUE(
      write_file_atomic(path, std::string_view("version https://git-lfs.github.com/spec/v1\n"
                                               "oid sha256:00\nsize 5\n"))
          .ok());
  expect_error(read_file(path), Code::kBadInput, {"git-LFS pointer", "git lfs pull"});
  expect_error(MappedFile::open(path), Code::kBadInput, {"git-LFS pointer"});
}

TEST(File, FailedWritesLeaveNothingBehind) {
  const TempFolder folder;
  const std::string_view text = "x";
  expect_error(write_file_atomic(folder / "no/such/file", text), Code::kBadInput,
               {"no/such/file", "No such file or directory"});
  std::filesystem::create_directory(folder / "sub");
  expect_error(write_file_atomic(folder / "sub", text), Code::kBadInput, {"a folder"});
  expect_error(write_file_atomic("/dev/null", text), Code::kBadInput, {"no regular file"});
  EXPECT_EQ(files_in(folder.path()), 1U);
}

TEST(File, RemovesWhatItCouldNotFinish) {
  const TempFolder folder;
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small{1000, before.rlim_max};
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);  // the write fails instead
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const Status status = write_file_atomic(folder / "a", std::string(2000, 'x'));
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, handler);
  expect_error(status, Code::kBadInput, {"cannot be written: File too large"});
  EXPECT_EQ(files_in(folder.path()), 0U);
}

TEST(File, AnswersWhetherAFileCouldBeWritten) {
  const TempFolder folder;
  EXPECT_TRUE(check_writable(folder / "a").ok());
  expect_error(check_writable(folder / "no/a"), Code::kNotFound, {"does not exist"});
  expect_error(check_writable(folder.path()), Code::kBadInput, {"a folder"});
  expect_error(check_writable(folder.path() / ""), Code::kBadInput, {"name of a file"});
  // Where permissions let a superuser do anything, and no file can be made all the same.
  expect_error(check_writable("/proc/a.json"), Code::kBadInput,
               {"/proc/a.json: cannot be written"});
  EXPECT_EQ(files_in(folder.path()), 0U) << "the trial left something behind";
}

TEST(MappedFile, MapsMovesAndSurvivesEmptyFiles) {
  const TempFolder folder;
  ASSERT_TRUE(write_file_atomic(folder / "a", std::string_view("abc")).ok());
  ASSERT_TRUE(write_file_atomic(folder / "empty", std::string_view("")).ok());
  MappedFile first = std::move(MappedFile::open(folder / "a")).value();
  MappedFile second = std::move(first);
  ASSERT_EQ(second.bytes().size(), 3U);
  EXPECT_EQ(second.bytes()[2], std::byte{'c'});
  second = std::move(MappedFile::open(folder / "empty")).value();
  EXPECT_TRUE(second.bytes().empty());
  expect_error(MappedFile::open(folder / "none"), Code::kNotFound, {"none"});
}

}  // namespace
}  // namespace sinew::io
