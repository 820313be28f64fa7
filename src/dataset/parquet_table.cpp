// Arrow arrays to Column. Everything Arrow throws or returns becomes a Status in `guarded`.
#include "dataset/parquet_table.h"

#include "base/error.h"
#include "base/float16.h"
#include "dataset/arrow_memory.h"

#include <arrow/api.h>
#include <arrow/io/file.h>
#include <fmt/ranges.h>
#include <parquet/arrow/reader.h>
#include <parquet/arrow/schema.h>
#include <parquet/exception.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>
#include <parquet/statistics.h>

#include <algorithm>
#include <utility>

namespace sinew::dataset {
namespace {

// Bounds for hostile files. A page of a few bytes can decode to billions of values.
constexpr int64_t kMaxValues = int64_t{1} << 27;  // a column of one read
constexpr int32_t kMaxThriftString = 64 << 20;
constexpr int32_t kMaxThriftContainer = 1 << 20;
constexpr int64_t kBatchRows = 4096;

Status from_arrow(const arrow::Status& status, const std::string& where) {
  if (status.ok()) {
    return {};
  }
  return bad_input("{}: cannot be read as Parquet: {}", where, status.message());
}

// Runs `body`, which returns a Status or Result, and turns what Arrow throws into a Status.
template <class Body>
auto guarded(const std::string& where, Body body) -> decltype(body()) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return error(Code::kOutOfMemory, "{}: out of memory while reading", where);
  } catch (const std::exception& e) {
    return bad_input("{}: cannot be read as Parquet: {}", where, e.what());
  }
}

bool is_number(const arrow::DataType& type) {
  return type.id() == arrow::Type::BOOL || arrow::is_integer(type.id()) ||
         arrow::is_floating(type.id());
}

bool is_text(const arrow::DataType& type) {
  return type.id() == arrow::Type::STRING || type.id() == arrow::Type::LARGE_STRING ||
         type.id() == arrow::Type::BINARY || type.id() == arrow::Type::LARGE_BINARY;
}

bool is_array_type(const arrow::DataType& type) {
  return type.id() == arrow::Type::LIST || type.id() == arrow::Type::LARGE_LIST ||
         type.id() == arrow::Type::FIXED_SIZE_LIST;
}

// A file that records an Arrow schema can name an extension type; its storage is what counts.
std::shared_ptr<arrow::Array> storage_of(std::shared_ptr<arrow::Array> array) {
  if (array->type_id() == arrow::Type::EXTENSION) {
    return static_cast<const arrow::ExtensionArray&>(*array).storage();
  }
  return array;
}

template <class ArrayType>
void append_values(const arrow::Array& array, int64_t first, int64_t count,
                   std::vector<double>& out) {
  const auto& typed = static_cast<const ArrayType&>(array);
  for (int64_t i = first; i < first + count; ++i) {
    out.push_back(static_cast<double>(typed.Value(i)));
  }
}

// Arrow has no arithmetic type for half floats.
void append_halves(const arrow::Array& array, int64_t first, int64_t count,
                   std::vector<double>& out) {
  const auto& typed = static_cast<const arrow::HalfFloatArray&>(array);
  for (int64_t i = first; i < first + count; ++i) {
    out.push_back(static_cast<double>(to_float(F16{typed.Value(i)})));
  }
}

using Appender = void (*)(const arrow::Array&, int64_t, int64_t, std::vector<double>&);

Appender appender_for(arrow::Type::type type) {
  switch (type) {
    case arrow::Type::BOOL:
      return append_values<arrow::BooleanArray>;
    case arrow::Type::INT8:
      return append_values<arrow::Int8Array>;
    case arrow::Type::INT16:
      return append_values<arrow::Int16Array>;
    case arrow::Type::INT32:
      return append_values<arrow::Int32Array>;
    case arrow::Type::INT64:
      return append_values<arrow::Int64Array>;
    case arrow::Type::UINT8:
      return append_values<arrow::UInt8Array>;
    case arrow::Type::UINT16:
      return append_values<arrow::UInt16Array>;
    case arrow::Type::UINT32:
      return append_values<arrow::UInt32Array>;
    case arrow::Type::UINT64:
      return append_values<arrow::UInt64Array>;
    case arrow::Type::HALF_FLOAT:
      return append_halves;
    case arrow::Type::FLOAT:
      return append_values<arrow::FloatArray>;
    case arrow::Type::DOUBLE:
      return append_values<arrow::DoubleArray>;
    default:
      return nullptr;
  }
}

// The string or binary value of a cell.
std::string text_at(const arrow::Array& array, int64_t i) {
  if (array.type_id() == arrow::Type::LARGE_STRING ||
      array.type_id() == arrow::Type::LARGE_BINARY) {
    return std::string(static_cast<const arrow::LargeBinaryArray&>(array).GetView(i));
  }
  return std::string(static_cast<const arrow::BinaryArray&>(array).GetView(i));
}

struct Extent {
  int64_t begin = 0;
  int64_t length = 0;
};

// Where the values of array cell `i` lie in the child array.
Extent cell_extent(const arrow::Array& array, int64_t i) {
  switch (array.type_id()) {
    case arrow::Type::LIST: {
      const auto& list = static_cast<const arrow::ListArray&>(array);
      return {list.value_offset(i), list.value_length(i)};
    }
    case arrow::Type::LARGE_LIST: {
      const auto& list = static_cast<const arrow::LargeListArray&>(array);
      return {list.value_offset(i), list.value_length(i)};
    }
    default: {
      const auto& list = static_cast<const arrow::FixedSizeListArray&>(array);
      return {list.value_offset(i), list.value_length(i)};
    }
  }
}

std::shared_ptr<arrow::Array> child_values(const arrow::Array& array) {
  switch (array.type_id()) {
    case arrow::Type::LIST:
      return static_cast<const arrow::ListArray&>(array).values();
    case arrow::Type::LARGE_LIST:
      return static_cast<const arrow::LargeListArray&>(array).values();
    default:
      return static_cast<const arrow::FixedSizeListArray&>(array).values();
  }
}

// Collects the batches of one column into a Column.
class ColumnBuilder {
 public:
  ColumnBuilder(std::string name, const std::string& where) : where_(where) {
    column_.name = std::move(name);
  }

  // Rows [first, first + count) of a batch's array.
  Status append(std::shared_ptr<arrow::Array> cells, int64_t first, int64_t count) {
    cells = storage_of(std::move(cells));
    if (cells->type_id() == arrow::Type::STRUCT) {
      SINEW_ASSIGN(cells, embedded_bytes(*cells));
    }
    const arrow::DataType& type = *cells->type();
    for (int64_t i = first; i < first + count && cells->null_count() > 0; ++i) {
      if (cells->IsNull(i)) {
        return bad_input("{}: column '{}' has no value in row {}", where_, column_.name,
                         column_.rows + i - first);
      }
    }
    if (is_number(type)) {
      SINEW_TRY(check_room(count));
      appender_for(type.id())(*cells, first, count, column_.numbers);
    } else if (is_text(type)) {
      column_.kind = Column::Kind::kTexts;
      for (int64_t i = first; i < first + count; ++i) {
        column_.texts.push_back(text_at(*cells, i));
      }
    } else if (is_array_type(type)) {
      SINEW_TRY(append_arrays(*cells, first, count));
    } else {
      return unsupported("{}: column '{}' has type {}, which is not read here", where_,
                         column_.name, type.ToString());
    }
    column_.rows += count;
    return {};
  }

  Column take() { return std::move(column_); }

 private:
  Result<std::shared_ptr<arrow::Array>> embedded_bytes(const arrow::Array& cells) const {
    const auto& type = static_cast<const arrow::StructType&>(*cells.type());
    const int field = type.GetFieldIndex("bytes");
    if (field < 0 || !is_text(*type.field(field)->type())) {
      return unsupported("{}: column '{}' has type {}; of structs only {{bytes, path}} is read",
                         where_, column_.name, type.ToString());
    }
    return static_cast<const arrow::StructArray&>(cells).field(field);
  }

  Status append_arrays(const arrow::Array& cells, int64_t first, int64_t count) {
    column_.is_array = true;
    const std::shared_ptr<arrow::Array> values = storage_of(child_values(cells));
    if (is_text(*values->type())) {
      column_.kind = Column::Kind::kTextLists;
    } else if (!is_number(*values->type())) {
      return unsupported("{}: column '{}' has type {}, which is not read here", where_,
                         column_.name, cells.type()->ToString());
    }
    for (int64_t i = first; i < first + count; ++i) {
      const Extent extent = cell_extent(cells, i);
      if (extent.length < 0 || extent.begin < 0 ||
          extent.length > values->length() - extent.begin) {
        return bad_input("{}: column '{}': corrupt array in row {}", where_, column_.name,
                         column_.rows + i - first);
      }
      for (int64_t j = 0; values->null_count() > 0 && j < extent.length; ++j) {
        if (values->IsNull(extent.begin + j)) {
          return bad_input("{}: column '{}' has an array with a missing value in row {}", where_,
                           column_.name, column_.rows + i - first);
        }
      }
      SINEW_TRY(append_cell(*values, extent, column_.rows + i - first));
    }
    return {};
  }

  Status append_cell(const arrow::Array& values, const Extent& extent, int64_t row) {
    if (column_.kind == Column::Kind::kTextLists) {
      SINEW_TRY(check_room(extent.length));
      std::vector<std::string>& cell = column_.text_lists.emplace_back();
      for (int64_t j = 0; j < extent.length; ++j) {
        cell.push_back(text_at(values, extent.begin + j));
      }
      return {};
    }
    if (row == 0) {
      column_.width = extent.length;
    } else if (extent.length != column_.width) {
      return bad_input("{}: column '{}': row {} has {} values, the rows before it have {}", where_,
                       column_.name, row, extent.length, column_.width);
    }
    SINEW_TRY(check_room(extent.length));
    appender_for(values.type_id())(values, extent.begin, extent.length, column_.numbers);
    return {};
  }

  Status check_room(int64_t more) const {
    if (more > kMaxValues - static_cast<int64_t>(column_.numbers.size())) {
      return bad_input("{}: column '{}' holds more than {} values", where_, column_.name,
                       kMaxValues);
    }
    return {};
  }

  Column column_;
  const std::string& where_;
};

// parquet::Statistics of an integer column chunk say whether `value` can occur in it.
bool may_contain(const parquet::ColumnChunkMetaData& chunk, int64_t value) {
  const std::shared_ptr<parquet::Statistics> statistics = chunk.statistics();
  if (statistics == nullptr || !statistics->HasMinMax() ||
      statistics->physical_type() != parquet::Type::INT64) {
    return true;
  }
  const auto& typed = static_cast<const parquet::Int64Statistics&>(*statistics);
  return typed.min() <= value && value <= typed.max();
}

void add_leaves(const parquet::arrow::SchemaField& field, std::vector<int>& out) {
  if (field.is_leaf()) {
    out.push_back(field.column_index);
  }
  for (const parquet::arrow::SchemaField& child : field.children) {
    add_leaves(child, out);
  }
}

}  // namespace

struct ParquetFile::Impl {
  explicit Impl(std::string path) : where(std::move(path)), memory(where) {}

  struct Span {
    int group = 0;
    RowRange rows;  // in the file
  };

  std::string where;
  ArrowMemory memory;
  std::unique_ptr<parquet::arrow::FileReader> reader;
  std::shared_ptr<arrow::Schema> schema;
  std::vector<std::string> names;
  std::vector<Span> groups;
  int64_t rows = 0;

  Status open_file();
  Status list_groups();
  Result<int> field_index(const std::string& name) const;
  // The leaf columns below top-level fields, as the reader counts them; each field must have some.
  Result<std::vector<int>> leaves_of(const std::vector<int>& fields) const;
  // Groups that overlap `range`; `skip` is the number of rows of the first before the range.
  std::vector<int> groups_of(const RowRange& range, int64_t& skip) const;
  Result<std::unique_ptr<arrow::RecordBatchReader>> batches(const std::vector<int>& group_indices,
                                                            const std::vector<int>& fields,
                                                            int64_t batch_rows) const;
};

Status ParquetFile::Impl::open_file() {
  parquet::ReaderProperties properties(memory.pool());
  properties.set_thrift_string_size_limit(kMaxThriftString);
  properties.set_thrift_container_size_limit(kMaxThriftContainer);
  properties.enable_buffered_stream();
  auto source = arrow::io::ReadableFile::Open(where, memory.pool());
  SINEW_TRY(from_arrow(source.status(), where));
  parquet::arrow::FileReaderBuilder builder;
  SINEW_TRY(from_arrow(builder.Open(source.MoveValueUnsafe(), properties), where));
  parquet::ArrowReaderProperties arrow_properties(/*use_threads=*/false);
  arrow_properties.set_pre_buffer(false);
  builder.memory_pool(memory.pool())->properties(arrow_properties);
  SINEW_TRY(from_arrow(builder.Build(&reader), where));
  SINEW_TRY(from_arrow(reader->GetSchema(&schema), where));
  names = schema->field_names();
  return list_groups();
}

Status ParquetFile::Impl::list_groups() {
  const std::shared_ptr<parquet::FileMetaData> metadata = reader->parquet_reader()->metadata();
  for (int i = 0; i < metadata->num_row_groups(); ++i) {
    const int64_t count = metadata->RowGroup(i)->num_rows();
    if (count < 0 || count > INT64_MAX - rows) {
      return bad_input("{}: row group {} claims {} rows", where, i, count);
    }
    groups.push_back({i, {rows, count}});
    rows += count;
  }
  return {};
}

Result<int> ParquetFile::Impl::field_index(const std::string& name) const {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) {
    return not_found("{}: no column '{}'; it has {}", where, name, fmt::join(names, ", "));
  }
  return static_cast<int>(found - names.begin());
}

Result<std::vector<int>> ParquetFile::Impl::leaves_of(const std::vector<int>& fields) const {
  std::vector<int> leaves;
  for (const int field : fields) {
    const size_t before = leaves.size();
    add_leaves(reader->manifest().schema_fields[static_cast<size_t>(field)], leaves);
    if (leaves.size() == before) {
      return bad_input("{}: column '{}' is a group without members, expected values", where,
                       names[static_cast<size_t>(field)]);
    }
  }
  return leaves;
}

std::vector<int> ParquetFile::Impl::groups_of(const RowRange& range, int64_t& skip) const {
  std::vector<int> indices;
  skip = 0;
  for (const Span& group : groups) {
    const int64_t end = group.rows.first + group.rows.count;
    if (group.rows.count > 0 && group.rows.first < range.first + range.count && end > range.first) {
      if (indices.empty()) {
        skip = std::max<int64_t>(0, range.first - group.rows.first);
      }
      indices.push_back(group.group);
    }
  }
  return indices;
}

Result<std::unique_ptr<arrow::RecordBatchReader>> ParquetFile::Impl::batches(
    const std::vector<int>& group_indices, const std::vector<int>& fields,
    int64_t batch_rows) const {
  SINEW_ASSIGN(const std::vector<int> leaves, leaves_of(fields));
  reader->set_batch_size(batch_rows);
  auto result = reader->GetRecordBatchReader(group_indices, leaves);
  SINEW_TRY(from_arrow(result.status(), where));
  return result.MoveValueUnsafe();
}

namespace {

// The next batch of a reader, checked; null at the end.
Result<std::shared_ptr<arrow::RecordBatch>> next_batch(arrow::RecordBatchReader& reader,
                                                       const std::string& where) {
  std::shared_ptr<arrow::RecordBatch> batch;
  SINEW_TRY(from_arrow(reader.ReadNext(&batch), where));
  if (batch != nullptr) {
    SINEW_TRY(from_arrow(batch->Validate(), where));
  }
  return batch;
}

// Walks the batches of a range: gives each batch with the rows of it that belong to the range.
class RangeWalker {
 public:
  RangeWalker(std::unique_ptr<arrow::RecordBatchReader> reader, const std::string& where,
              int64_t skip, int64_t count)
      : reader_(std::move(reader)), where_(where), skip_(skip), left_(count) {}

  struct Piece {
    std::shared_ptr<arrow::RecordBatch> batch;  // null at the end of the range
    int64_t first = 0;
    int64_t count = 0;
  };

  Result<Piece> next() {
    while (left_ > 0) {
      SINEW_ASSIGN(std::shared_ptr<arrow::RecordBatch> batch, next_batch(*reader_, where_));
      if (batch == nullptr) {
        return bad_input("{}: truncated: {} rows fewer than its footer says", where_, left_);
      }
      const int64_t first = std::min(skip_, batch->num_rows());
      const int64_t count = std::min(left_, batch->num_rows() - first);
      skip_ -= first;
      left_ -= count;
      if (count > 0) {
        return Piece{std::move(batch), first, count};
      }
    }
    return Piece{};
  }

 private:
  std::unique_ptr<arrow::RecordBatchReader> reader_;
  const std::string& where_;
  int64_t skip_;
  int64_t left_;
};

class ColumnCursor final : public ParquetFile::Cursor {
 public:
  ColumnCursor(RangeWalker walker, std::string column, const std::string& where)
      : walker_(std::move(walker)), column_(std::move(column)), where_(where) {}

  Result<Column> next() override {
    return guarded(where_, [&]() -> Result<Column> {
      SINEW_ASSIGN(const RangeWalker::Piece piece, walker_.next());
      ColumnBuilder builder(column_, where_);
      if (piece.batch != nullptr) {
        SINEW_TRY(builder.append(piece.batch->column(0), piece.first, piece.count));
      }
      return builder.take();
    });
  }

 private:
  RangeWalker walker_;
  std::string column_;
  const std::string& where_;
};

Status check_range(const RowRange& range, int64_t rows, const std::string& where) {
  if (range.first < 0 || range.count < 0 || range.first > rows ||
      range.count > rows - range.first) {
    return bad_input("{}: rows {} to {} are wanted, it has {}", where, range.first,
                     range.first + range.count, rows);
  }
  return {};
}

}  // namespace

ParquetFile::ParquetFile(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

ParquetFile::ParquetFile(ParquetFile&&) noexcept = default;
ParquetFile& ParquetFile::operator=(ParquetFile&&) noexcept = default;
ParquetFile::~ParquetFile() = default;

Result<ParquetFile> ParquetFile::open(const std::filesystem::path& path) {
  SINEW_TRY(check_data_file(path));
  auto impl = std::make_unique<Impl>(path.string());
  SINEW_TRY(guarded(impl->where, [&] { return impl->open_file(); }));
  return ParquetFile(std::move(impl));
}

int64_t ParquetFile::rows() const {
  return impl_->rows;
}

const std::vector<std::string>& ParquetFile::columns() const {
  return impl_->names;
}

const std::string& ParquetFile::where() const {
  return impl_->where;
}

bool ParquetFile::has_column(std::string_view name) const {
  return std::find(impl_->names.begin(), impl_->names.end(), name) != impl_->names.end();
}

Result<std::vector<Column>> ParquetFile::read(const std::vector<std::string>& columns,
                                              RowRange range) const {
  SINEW_TRY(check_range(range, impl_->rows, impl_->where));
  std::vector<int> fields;
  std::vector<ColumnBuilder> builders;
  for (const std::string& name : columns) {
    SINEW_ASSIGN(const int field, impl_->field_index(name));
    fields.push_back(field);
    builders.emplace_back(name, impl_->where);
  }
  return guarded(impl_->where, [&]() -> Result<std::vector<Column>> {
    int64_t skip = 0;
    const std::vector<int> groups = impl_->groups_of(range, skip);
    SINEW_ASSIGN(auto reader, impl_->batches(groups, fields, kBatchRows));
    RangeWalker walker(std::move(reader), impl_->where, skip, range.count);
    while (true) {
      SINEW_ASSIGN(const RangeWalker::Piece piece, walker.next());
      if (piece.batch == nullptr) {
        break;
      }
      for (size_t i = 0; i < columns.size(); ++i) {
        const std::shared_ptr<arrow::Array> cells = piece.batch->GetColumnByName(columns[i]);
        if (cells == nullptr) {
          return bad_input("{}: column '{}' occurs more than once", impl_->where, columns[i]);
        }
        SINEW_TRY(builders[i].append(cells, piece.first, piece.count));
      }
    }
    std::vector<Column> out;
    out.reserve(builders.size());
    for (ColumnBuilder& builder : builders) {
      out.push_back(builder.take());
    }
    return out;
  });
}

Result<RowRange> ParquetFile::rows_equal(const std::string& column, int64_t value) const {
  SINEW_ASSIGN(const int field, impl_->field_index(column));
  SINEW_ASSIGN(const std::vector<int> leaves, impl_->leaves_of({field}));
  RowRange found;
  for (const Impl::Span& group : impl_->groups) {
    SINEW_ASSIGN(const bool skip, guarded(impl_->where, [&]() -> Result<bool> {
                   const auto metadata = impl_->reader->parquet_reader()->metadata();
                   const auto chunk = metadata->RowGroup(group.group)->ColumnChunk(leaves.at(0));
                   return !may_contain(*chunk, value);
                 }));
    if (skip) {
      continue;
    }
    SINEW_ASSIGN(const std::vector<Column> cells, read({column}, group.rows));
    for (int64_t i = 0; i < cells[0].rows; ++i) {
      SINEW_ASSIGN(const int64_t cell, integer_at(cells[0], i, impl_->where));
      if (cell != value) {
        continue;
      }
      const int64_t row = group.rows.first + i;
      if (found.count > 0 && row != found.first + found.count) {
        return bad_input("{}: the rows with {} = {} are not contiguous (row {} after row {})",
                         impl_->where, column, value, row, found.first + found.count - 1);
      }
      found.first = found.count == 0 ? row : found.first;
      ++found.count;
    }
  }
  if (found.count == 0) {
    return not_found("{}: no row has {} = {}", impl_->where, column, value);
  }
  return found;
}

Result<std::unique_ptr<ParquetFile::Cursor>> ParquetFile::cursor(const std::string& column,
                                                                 RowRange range,
                                                                 int64_t batch_rows) const {
  SINEW_TRY(check_range(range, impl_->rows, impl_->where));
  SINEW_ASSIGN(const int field, impl_->field_index(column));
  return guarded(impl_->where, [&]() -> Result<std::unique_ptr<Cursor>> {
    int64_t skip = 0;
    const std::vector<int> groups = impl_->groups_of(range, skip);
    SINEW_ASSIGN(auto reader, impl_->batches(groups, {field}, batch_rows));
    return std::unique_ptr<Cursor>(std::make_unique<ColumnCursor>(
        RangeWalker(std::move(reader), impl_->where, skip, range.count), column, impl_->where));
  });
}

}  // namespace sinew::dataset
