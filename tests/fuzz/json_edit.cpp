#include "json_edit.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

namespace sinew::test {
namespace {

using io::Json;

constexpr size_t kMaxNodes = 65536;

// Every value of a document, outermost first.
void collect(Json& value, std::vector<Json*>& nodes) {
  if (nodes.size() == kMaxNodes) {
    return;
  }
  nodes.push_back(&value);
  if (value.is_structured()) {
    for (Json& child : value) {
      collect(child, nodes);
    }
  }
}

int64_t edge_number(ByteReader& bytes) {
  static constexpr std::array<int64_t, 22> kEdges = {
      0,  1,  2,   3,   4,   7,       8,       13,         15,        16,        17,
      28, 64, 255, 256, 512, 1 << 20, 1 << 24, 0x7fffffff, 1LL << 32, 1LL << 53, INT64_MAX};
  const uint8_t choice = bytes.byte();
  const int64_t edge = kEdges[choice % kEdges.size()];
  return choice >= 128 ? -edge : edge;
}

Json other_value(ByteReader& bytes) {
  switch (bytes.below(10)) {
    case 0:
      return nullptr;
    case 1:
      return true;
    case 2:
      return false;
    case 3:
      return Json::array();
    case 4:
      return Json::object();
    case 5:
      return std::string(bytes.text());
    case 6:
      return static_cast<int64_t>(bytes.number(8));
    case 7:
      return std::ldexp(static_cast<double>(static_cast<int8_t>(bytes.byte())),
                        static_cast<int8_t>(bytes.byte()));
    case 8:
      return 1e308;
    default:
      return edge_number(bytes);
  }
}

// A number close to the one that is there.
void move_number(ByteReader& bytes, Json& value) {
  const auto step = static_cast<int8_t>(bytes.byte());
  if (value.is_number_integer() || value.is_number_unsigned()) {
    value = static_cast<int64_t>(value.get<uint64_t>() + static_cast<uint64_t>(int64_t{step}));
  } else if (value.is_number_float()) {
    value = value.get<double>() * static_cast<double>(step);
  } else {
    value = edge_number(bytes);
  }
}

// The member or element at a position, which must exist.
Json::iterator child_at(Json& parent, size_t position) {
  auto child = parent.begin();
  std::advance(child, static_cast<std::ptrdiff_t>(position));
  return child;
}

void remove_child(ByteReader& bytes, Json& parent) {
  if (parent.is_structured() && !parent.empty()) {
    parent.erase(child_at(parent, bytes.below(std::min<size_t>(parent.size(), 256))));
  } else {
    parent = nullptr;
  }
}

void add_child(ByteReader& bytes, Json& parent, Json child) {
  if (parent.is_array()) {
    const size_t copies = 1 + bytes.below(4);
    for (size_t i = 0; i < copies; ++i) {
      parent.push_back(child);
    }
  } else if (parent.is_object()) {
    parent[std::string(bytes.text())] = std::move(child);
  } else {
    parent = Json::array({std::move(child)});
  }
}

// Moves a member to another key: a neighbour's, or one that the input spells out.
void rename_child(ByteReader& bytes, Json& parent) {
  if (!parent.is_object() || parent.empty()) {
    parent = std::string(bytes.text());
    return;
  }
  const size_t limit = std::min<size_t>(parent.size(), 256);
  const auto from = child_at(parent, bytes.below(limit));
  Json value = std::move(from.value());
  parent.erase(from);
  const std::string_view key = bytes.text();
  if (key.empty() && !parent.empty()) {
    child_at(parent, bytes.below(std::min<size_t>(parent.size(), 256))).value() = std::move(value);
  } else {
    parent[std::string(key)] = std::move(value);
  }
}

}  // namespace

void edit_json(ByteReader& bytes, Json& document) {
  std::vector<Json*> nodes;
  collect(document, nodes);
  Json& node = *nodes[bytes.below(nodes.size())];
  switch (bytes.below(8)) {
    case 0:
      node = edge_number(bytes);
      break;
    case 1:
      node = other_value(bytes);
      break;
    case 2:
      move_number(bytes, node);
      break;
    case 3:
      remove_child(bytes, node);
      break;
    case 4: {
      Json copy = *nodes[bytes.below(nodes.size())];  // it may hold the node that it replaces
      node = std::move(copy);
      break;
    }
    case 5:
      add_child(bytes, node, *nodes[bytes.below(nodes.size())]);
      break;
    case 6:
      add_child(bytes, node, other_value(bytes));
      break;
    default:
      rename_child(bytes, node);
      break;
  }
}

std::string json_text(const Json& document) {
  return document.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace sinew::test
