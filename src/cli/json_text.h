// JSON for a person's terminal or another program: the text of a document.
#pragma once

#include "io/json.h"

#include <string>

namespace sinew::cli {

// Ends with a line break. Bytes that are no UTF-8 (from paths) are replaced, never thrown about.
inline std::string json_text(const io::Json& document, int indent = 2) {
  return document.dump(indent, ' ', false, io::Json::error_handler_t::replace) + "\n";
}

}  // namespace sinew::cli
