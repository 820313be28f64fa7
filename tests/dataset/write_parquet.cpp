#include "dataset/write_parquet.h"

#include <arrow/api.h>
#include <arrow/io/file.h>
#include <gtest/gtest.h>
#include <parquet/arrow/writer.h>
#include <parquet/properties.h>

#include <memory>
#include <utility>

namespace sinew::test {
namespace {

using Type = WriteColumn::Type;

void require(const arrow::Status& status) {
  if (!status.ok()) {
    throw std::runtime_error(status.ToString());
  }
}

std::shared_ptr<arrow::Array> finish(arrow::ArrayBuilder& builder) {
  auto result = builder.Finish();
  require(result.status());
  return result.MoveValueUnsafe();
}

template <class Builder, class Value>
std::shared_ptr<arrow::Array> scalars(const std::vector<double>& numbers) {
  Builder builder;
  for (const double number : numbers) {
    require(builder.Append(static_cast<Value>(number)));
  }
  return finish(builder);
}

template <class Builder, class Value>
std::shared_ptr<arrow::Array> number_lists(const WriteColumn& column) {
  auto values = std::make_shared<Builder>();
  arrow::ListBuilder builder(arrow::default_memory_pool(), values);
  for (size_t i = 0; i < column.numbers.size(); ++i) {
    if (i % static_cast<size_t>(column.width) == 0) {
      require(builder.Append());
    }
    require(values->Append(static_cast<Value>(column.numbers[i])));
  }
  return finish(builder);
}

std::shared_ptr<arrow::Array> fixed_lists(const WriteColumn& column) {
  const std::shared_ptr<arrow::Array> values = scalars<arrow::FloatBuilder, float>(column.numbers);
  auto result = arrow::FixedSizeListArray::FromArrays(values, static_cast<int32_t>(column.width));
  require(result.status());
  return result.MoveValueUnsafe();
}

std::shared_ptr<arrow::Array> texts(const std::vector<std::string>& values) {
  arrow::StringBuilder builder;
  for (const std::string& value : values) {
    require(builder.Append(value));
  }
  return finish(builder);
}

std::shared_ptr<arrow::Array> text_lists(const WriteColumn& column) {
  auto values = std::make_shared<arrow::StringBuilder>();
  arrow::ListBuilder builder(arrow::default_memory_pool(), values);
  for (const std::vector<std::string>& cell : column.lists) {
    require(builder.Append());
    for (const std::string& text : cell) {
      require(values->Append(text));
    }
  }
  return finish(builder);
}

std::shared_ptr<arrow::Array> images(const WriteColumn& column) {
  arrow::BinaryBuilder bytes;
  arrow::StringBuilder paths;
  for (const std::string& encoded : column.texts) {
    require(bytes.Append(encoded));
    require(paths.AppendNull());
  }
  auto result = arrow::StructArray::Make(
      {finish(bytes), finish(paths)},
      {arrow::field("bytes", arrow::binary()), arrow::field("path", arrow::utf8())});
  require(result.status());
  return result.MoveValueUnsafe();
}

std::shared_ptr<arrow::Array> array_of(const WriteColumn& column) {
  switch (column.type) {
    case Type::kFloat:
      return scalars<arrow::FloatBuilder, float>(column.numbers);
    case Type::kDouble:
      return scalars<arrow::DoubleBuilder, double>(column.numbers);
    case Type::kInt64:
      return scalars<arrow::Int64Builder, int64_t>(column.numbers);
    case Type::kFloatList:
      return number_lists<arrow::FloatBuilder, float>(column);
    case Type::kDoubleList:
      return number_lists<arrow::DoubleBuilder, double>(column);
    case Type::kFixedFloatList:
      return fixed_lists(column);
    case Type::kText:
      return texts(column.texts);
    case Type::kTextList:
      return text_lists(column);
    case Type::kImage:
      return images(column);
  }
  return nullptr;
}

std::shared_ptr<parquet::WriterProperties> properties_of(const WriteOptions& options) {
  parquet::WriterProperties::Builder builder;
  switch (options.codec) {
    case WriteOptions::Codec::kNone:
      builder.compression(parquet::Compression::UNCOMPRESSED);
      break;
    case WriteOptions::Codec::kSnappy:
      builder.compression(parquet::Compression::SNAPPY);
      break;
    case WriteOptions::Codec::kZstd:
      builder.compression(parquet::Compression::ZSTD);
      break;
    case WriteOptions::Codec::kGzip:
      builder.compression(parquet::Compression::GZIP);
      break;
  }
  if (options.pages_v2) {
    builder.data_page_version(parquet::ParquetDataPageVersion::V2);
  }
  if (!options.dictionary) {
    builder.disable_dictionary();
  }
  return builder.build();
}

}  // namespace

void write_parquet(const std::filesystem::path& path, const std::vector<WriteColumn>& columns,
                   const WriteOptions& options) {
  try {
    std::filesystem::create_directories(path.parent_path());
    std::vector<std::shared_ptr<arrow::Field>> fields;
    std::vector<std::shared_ptr<arrow::Array>> arrays;
    for (const WriteColumn& column : columns) {
      arrays.push_back(array_of(column));
      fields.push_back(arrow::field(column.name, arrays.back()->type()));
    }
    const auto table = arrow::Table::Make(arrow::schema(fields), arrays);
    auto file = arrow::io::FileOutputStream::Open(path.string());
    require(file.status());
    // The Arrow schema is stored so that fixed-size lists come back as such.
    const auto arrow_properties = parquet::ArrowWriterProperties::Builder().store_schema()->build();
    require(parquet::arrow::WriteTable(*table, arrow::default_memory_pool(), file.ValueUnsafe(),
                                       options.rows_a_group, properties_of(options),
                                       arrow_properties));
    require(file.ValueUnsafe()->Close());
  } catch (const std::exception& e) {
    FAIL() << path << ": " << e.what();
  }
}

}  // namespace sinew::test
