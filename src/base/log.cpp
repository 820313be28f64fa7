#include "base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <cstdlib>
#include <memory>

namespace sinew {
namespace {

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
    case LogLevel::kOff:
      return spdlog::level::off;
  }
  return spdlog::level::info;
}

LogLevel level_from_environment() {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): read once, before any thread of ours exists
  const char* text = std::getenv("SINEW_LOG");
  const std::string_view name = text == nullptr ? "" : text;
  if (name == "debug") {
    return LogLevel::kDebug;
  }
  if (name == "warning") {
    return LogLevel::kWarning;
  }
  if (name == "error") {
    return LogLevel::kError;
  }
  if (name == "off") {
    return LogLevel::kOff;
  }
  return LogLevel::kInfo;
}

struct Logger {
  LogLevel level = level_from_environment();
  std::shared_ptr<spdlog::logger> sink = make();

  static std::shared_ptr<spdlog::logger> make() {
    auto logger = std::make_shared<spdlog::logger>(
        "sinew", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    logger->set_pattern("%v");
    logger->set_level(spdlog::level::trace);
    return logger;
  }
};

// The one process-wide object: where log lines go. It changes no result.
Logger& logger() {
  static Logger instance;
  return instance;
}

const char* prefix(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug: ";
    case LogLevel::kWarning:
      return "warning: ";
    case LogLevel::kError:
      return "error: ";
    default:
      return "";
  }
}

}  // namespace

void set_log_level(LogLevel level) {
  logger().level = level;
}

LogLevel log_level() {
  return logger().level;
}

void log_line(LogLevel level, std::string_view text) {
  if (level >= logger().level && level != LogLevel::kOff) {
    logger().sink->log(to_spdlog(level), "{}{}", prefix(level), text);
  }
}

}  // namespace sinew
