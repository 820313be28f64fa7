// Changes to JSON documents that the bytes of a fuzz input choose. A target that begins with
// documents which work reaches the checks behind the parsers, where random text never gets.
#pragma once

#include "byte_reader.h"
#include "io/json.h"

#include <string>

namespace sinew::test {

// One change at one node of `document`: another value, a neighbouring number, a copy of another
// node, a member or element removed, added or renamed.
void edit_json(ByteReader& bytes, io::Json& document);

// The text of a document; bytes of strings that are not UTF-8 are replaced.
std::string json_text(const io::Json& document);

}  // namespace sinew::test
