#include "io/json.h"

#include "io/expect_error.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

namespace sinew::io {
namespace {

using test::expect_error;

Json parsed(std::string_view text) {
  Result<Json> result = parse_json(text, "test");
  EXPECT_TRUE(result.ok()) << result.status().message();
  return result.ok() ? std::move(result).value() : Json();
}

void expect_refused(std::string_view text, const char* part) {
  expect_error(parse_json(text, "dir/x.json"), Code::kBadInput, {"dir/x.json: ", part});
}

std::string nested(size_t depth) {
  return std::string(depth, '[') + std::string(depth, ']');
}

TEST(ParseJson, ReadsValues) {
  const Json json = parsed(R"({"b": [1, -2, 2.5, true, null, "x\u00e9"], "a": {}})");
  EXPECT_EQ(json["b"][1], -2);
  EXPECT_EQ(json["b"][5], "xé");
  EXPECT_TRUE(json["a"].is_object());
  EXPECT_EQ(parsed("[[1, [2]], {\"a\": [3]}, 4]").dump(), "[[1,[2]],{\"a\":[3]},4]");
}

TEST(ParseJson, RefusesBadSyntax) {
  for (const char* text : {"", "{", "[1,]", "{\"a\" 1}", "[1] 2", "nul", "[01]", "{'a': 1}",
                           "[1e999]", "\"\\ud800\"", "\"\xff\"", "/* c */ 1"}) {
    expect_refused(text, "expected JSON text, found");
  }
  expect_refused(std::string_view("{}\0x", 4), "NUL");
  expect_refused("{\n\"a\": ?}", "line 2, column 6");
}

TEST(ParseJson, RefusesDuplicateKeysOfOneObjectOnly) {
  expect_refused(R"({"a": 1, "b": {"c": 1, "c": 2}})", "the key \"c\" occurs twice");
  EXPECT_EQ(parsed(R"({"a": 1, "b": {"a": 2}})")["b"]["a"], 2);
}

TEST(ParseJson, LimitsDepth) {
  EXPECT_TRUE(parsed(nested(kMaxJsonDepth)).is_array());
  expect_refused(nested(kMaxJsonDepth + 1), "nested deeper than 64");
  expect_refused(std::string(200000, '['), "nested deeper");
  std::string objects;
  for (int i = 0; i < 100; ++i) {
    objects += "{\"a\":";
  }
  expect_refused(objects, "nested deeper");
}

TEST(ParseJson, ReadsPythonsNonFiniteNumbers) {
  const Json json =
      parsed(R"([1, NaN, "NaN, \" Infinity", 2e1, -Infinity, {"NaN": Infinity, "x": -3}, 4])");
  EXPECT_EQ(json[0], 1);
  EXPECT_TRUE(std::isnan(json[1].get<double>()));
  EXPECT_EQ(json[2], "NaN, \" Infinity");
  EXPECT_EQ(json[3], 20.0);
  EXPECT_EQ(json[4].get<double>(), -INFINITY);
  EXPECT_EQ(json[5]["NaN"].get<double>(), INFINITY);
  EXPECT_EQ(json[5]["x"], -3);
  EXPECT_EQ(json[6], 4);
  EXPECT_TRUE(std::isnan(parsed("NaN").get<double>()));
}

TEST(ParseJson, RefusesWhatOnlyLooksNonFinite) {
  for (const char* text :
       {"[1NaN]", "[NaN1]", "[-NaN]", "[--Infinity]", "[+Infinity]", "[1-Infinity]", "[NaNNaN]",
        "[nan]", "[Infinit]", "[trueNaN]", "\"NaN", "[NaN \"\\"}) {
    expect_refused(text, "expected JSON text, found");
  }
}

TEST(JsonView, ErrorsNameFilePathExpectationAndFinding) {
  const Json json =
      parsed(R"({"cfg": {"n": "32", "list": [1, "x"]}, "z": null, "u": 18446744073709551615})");
  const JsonView root(json, "d/config.json");
  const JsonView cfg = root.at("cfg").value();
  expect_error(cfg.at("n").value().as_int(), Code::kBadInput,
               {"d/config.json: cfg.n: expected an integer, found \"32\""});
  expect_error(cfg.at("list").value().as_ints(), Code::kBadInput,
               {"d/config.json: cfg.list[1]: expected an integer, found \"x\""});
  expect_error(root.at("none"), Code::kNotFound, {"d/config.json: the key \"none\" is missing"});
  expect_error(cfg.at("n").value().at("m"), Code::kBadInput, {"cfg.n: expected an object"});
  expect_error(root.at(size_t{0}), Code::kBadInput, {"expected an array, found an object"});
  expect_error(cfg.at("list").value().at(2), Code::kNotFound, {"at least 3 elements, found 2"});
  expect_error(root.at("u").value().as_int(), Code::kBadInput, {"found 18446744073709551615"});
  EXPECT_TRUE(root.has("cfg"));
  EXPECT_FALSE(root.has("z"));
  EXPECT_TRUE(root.at("z").value().is_null());
  EXPECT_FALSE(root.at("z").value().has("a"));
}

TEST(JsonView, ChecksTypesAndRanges) {
  const Json json = parsed("[50.0, 50.5, 7, true, \"s\", NaN, 1e300]");
  const JsonView root(json, "w");
  const auto at = [&root](size_t i) { return root.at(i).value(); };
  EXPECT_EQ(at(0).as_int().value(), 50);
  expect_error(at(1).as_int(), Code::kBadInput, {"w: [1]: expected an integer, found 50.5"});
  expect_error(at(2).as_int(8), Code::kBadInput, {"an integer of at least 8, found 7"});
  expect_error(at(2).as_int(1, 6), Code::kBadInput, {"an integer from 1 to 6, found 7"});
  expect_error(at(3).as_int(), Code::kBadInput, {"found true"});
  expect_error(at(5).as_int(), Code::kBadInput, {"found nan"});
  EXPECT_FALSE(at(6).as_int().ok());
  EXPECT_TRUE(std::isnan(at(5).as_number().value()));
  expect_error(at(4).as_number(), Code::kBadInput, {"expected a number, found \"s\""});
  EXPECT_TRUE(at(3).as_bool().value());
  expect_error(at(2).as_bool(), Code::kBadInput, {"expected true or false"});
  expect_error(at(2).as_string(), Code::kBadInput, {"expected a string"});
  expect_error(root.as_strings(), Code::kBadInput, {"[0]: expected a string"});
}

TEST(JsonView, ListsKeysAndElements) {
  const Json json = parsed(R"({"b": ["x", "y"], "a": [1.5, 2]})");
  const JsonView root(json, "w");
  EXPECT_EQ(root.keys(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(root.at("b").value().as_strings().value(), (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(root.at("a").value().as_numbers().value(), (std::vector<double>{1.5, 2.0}));
  EXPECT_TRUE(root.at("a").value().keys().empty());
}

TEST(ReadJsonFile, NamesThePath) {
  expect_error(read_json_file("tests/golden/none.json"), Code::kNotFound,
               {"tests/golden/none.json"});
  EXPECT_TRUE(read_json_file("tests/golden/nano/checkpoint/statistics.json").ok());
}

}  // namespace
}  // namespace sinew::io
