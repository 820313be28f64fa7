#include "eval/plot.h"

#include "base/check.h"
#include "base/error.h"

#include <cairo.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <numbers>
#include <optional>
#include <span>
#include <string_view>

#include <cairo-svg.h>

namespace sinew::eval {
namespace {

constexpr int64_t kMaxPngPixels = 32767;  // cairo's limit of a side
constexpr const char* kFont = "DejaVu Sans";

struct Colour {
  double red, green, blue;
};

// Okabe and Ito's palette: told apart with every common colour vision deficiency, and in print.
constexpr Colour kRecordedColour{0.0, 0.447, 0.698};
constexpr Colour kPredictedColour{0.902, 0.624, 0.0};
constexpr Colour kStateColour{0.58, 0.58, 0.58};
constexpr Colour kInferenceColour{0.86, 0.08, 0.10};
constexpr Colour kInk{0.13, 0.13, 0.15};
constexpr Colour kFaintInk{0.42, 0.42, 0.45};
constexpr Colour kGrid{0.90, 0.90, 0.92};

struct SurfaceDestroy {
  void operator()(cairo_surface_t* surface) const { cairo_surface_destroy(surface); }
};

struct ContextDestroy {
  void operator()(cairo_t* context) const { cairo_destroy(context); }
};

using Surface = std::unique_ptr<cairo_surface_t, SurfaceDestroy>;
using Context = std::unique_ptr<cairo_t, ContextDestroy>;

// cairo's write callback: `closure` is the std::string that collects the file.
cairo_status_t append_bytes(void* closure, const unsigned char* data, unsigned int length) {
  static_cast<std::string*>(closure)->append(reinterpret_cast<const char*>(data), length);
  return CAIRO_STATUS_SUCCESS;
}

// One panel's data: a column of the trajectory's arrays.
struct Panel {
  std::string title;
  std::vector<double> recorded, predicted, state;  // [steps]; state may be empty
  ActionError error;
};

std::vector<double> column(std::span<const float> values, int64_t dims, int64_t dim) {
  std::vector<double> out;
  for (auto i = static_cast<size_t>(dim); i < values.size(); i += static_cast<size_t>(dims)) {
    out.push_back(static_cast<double>(values[i]));
  }
  return out;
}

std::vector<Panel> make_panels(const TrajectoryResult& trajectory,
                               const std::vector<ComparedKey>& keys) {
  std::vector<Panel> panels;
  for (const ComparedKey& key : keys) {
    for (const std::string& title : key.titles) {
      const auto dim = std::ssize(panels);
      Panel panel{title,
                  column(trajectory.recorded, trajectory.dims, dim),
                  column(trajectory.predicted, trajectory.dims, dim),
                  column(trajectory.state, trajectory.dims, dim),
                  {}};
      ErrorSum sum;
      for (size_t i = 0; i < panel.recorded.size(); ++i) {
        sum.add(static_cast<float>(panel.recorded[i]), static_cast<float>(panel.predicted[i]));
      }
      panel.error = sum.mean();
      panels.push_back(std::move(panel));
    }
  }
  return panels;
}

struct Range {
  double low = 0;
  double high = 1;
};

// All finite values with a margin; never empty.
Range value_range(const Panel& panel) {
  std::optional<Range> range;
  for (const std::vector<double>* series : {&panel.recorded, &panel.predicted, &panel.state}) {
    for (const double value : *series) {
      if (std::isfinite(value)) {
        range = range ? Range{std::min(range->low, value), std::max(range->high, value)}
                      : Range{value, value};
      }
    }
  }
  Range out = range.value_or(Range{});
  const double least = std::max(1e-6, 1e-3 * std::max(std::abs(out.low), std::abs(out.high)));
  const double margin = std::max(0.06 * (out.high - out.low), least);
  return {out.low - margin, out.high + margin};
}

// Draws panels below each other on one context.
class PlotPainter {
 public:
  PlotPainter(cairo_t* context, int64_t action_horizon)
      : context_(context), action_horizon_(action_horizon) {}

  void paint(const std::vector<Panel>& panels) {
    set_colour({1, 1, 1});
    cairo_paint(context_);
    for (size_t i = 0; i < panels.size(); ++i) {
      top_ = static_cast<double>(i) * kPlotPanelHeight;
      paint_panel(panels[i]);
    }
  }

 private:
  // Borders of the axes within a panel, in pixels.
  static constexpr double kLeft = 72;
  static constexpr double kRight = kPlotWidth - 22;
  static constexpr double kTop = 68;
  static constexpr double kBottom = kPlotPanelHeight - 52;

  void paint_panel(const Panel& panel) {
    steps_ = {0, std::max(1.0, static_cast<double>(panel.recorded.size()) - 1)};
    values_ = value_range(panel);
    paint_header(panel);
    paint_axes();
    cairo_save(context_);
    cairo_rectangle(context_, kLeft, top_ + kTop, kRight - kLeft, kBottom - kTop);
    cairo_clip(context_);
    const double dash[] = {5, 3.5};
    cairo_set_dash(context_, dash, 2, 0);
    paint_line(panel.state, kStateColour, 1.4);
    cairo_set_dash(context_, nullptr, 0, 0);
    paint_line(panel.recorded, kRecordedColour, 2.0);
    paint_line(panel.predicted, kPredictedColour, 2.0);
    cairo_restore(context_);
    for (size_t i = 0; i < panel.recorded.size(); i += static_cast<size_t>(action_horizon_)) {
      paint_dot(x_of(static_cast<double>(i)), y_of(panel.recorded[i]));
    }
  }

  // Title and errors, and below them the legend: outside the axes, so that it hides no data.
  void paint_header(const Panel& panel) {
    set_font(15, CAIRO_FONT_WEIGHT_BOLD);
    const std::string errors =
        fmt::format("MSE {:.6f}   MAE {:.6f}", panel.error.mse, panel.error.mae);
    set_colour(kInk);
    text(fit(panel.title, 470), kLeft, top_ + 30, 0);
    set_font(11.5, CAIRO_FONT_WEIGHT_NORMAL);
    set_colour(kFaintInk);
    text(errors, kRight, top_ + 30, 1);

    double x = kLeft;
    const double y = top_ + 51;
    if (!panel.state.empty()) {
      const double dash[] = {5, 3.5};
      cairo_set_dash(context_, dash, 2, 0);
      x = legend_line("state joints", kStateColour, 1.4, x, y);
    }
    x = legend_line("gt action", kRecordedColour, 2.0, x, y);
    x = legend_line("pred action", kPredictedColour, 2.0, x, y);
    paint_dot(x + 5, y - 4);
    set_colour(kInk);
    text("inference point", x + 15, y, 0);
  }

  double legend_line(std::string_view label, Colour colour, double width, double x, double y) {
    set_colour(colour);
    cairo_set_line_width(context_, width);
    cairo_move_to(context_, x, y - 4);
    cairo_line_to(context_, x + 24, y - 4);
    cairo_stroke(context_);
    cairo_set_dash(context_, nullptr, 0, 0);
    set_colour(kInk);
    text(label, x + 30, y, 0);
    return x + 30 + width_of(label) + 22;
  }

  void paint_axes() {
    cairo_set_line_width(context_, 1);
    set_font(11.5, CAIRO_FONT_WEIGHT_NORMAL);
    const std::vector<double> rows = axis_ticks(values_.low, values_.high, 9);
    const int decimals = tick_decimals(rows);
    for (const double value : rows) {
      const double y = std::round(y_of(value)) + 0.5;
      grid_line(kLeft, y, kRight, y);
      text(fmt::format("{:.{}f}", value, decimals), kLeft - 9, y + 4, 1);
    }
    for (const double step : axis_ticks(steps_.low, steps_.high, 10)) {
      if (step != std::floor(step)) {
        continue;
      }
      const double x = std::round(x_of(step)) + 0.5;
      grid_line(x, top_ + kTop, x, top_ + kBottom);
      text(fmt::format("{:.0f}", step), x, top_ + kBottom + 18, 0.5);
    }
    set_colour(kFaintInk);
    cairo_move_to(context_, kLeft + 0.5, top_ + kTop);
    cairo_line_to(context_, kLeft + 0.5, top_ + kBottom + 0.5);
    cairo_line_to(context_, kRight, top_ + kBottom + 0.5);
    cairo_stroke(context_);
    text("step", (kLeft + kRight) / 2, top_ + kBottom + 37, 0.5);
  }

  void grid_line(double x0, double y0, double x1, double y1) {
    set_colour(kGrid);
    cairo_move_to(context_, x0, y0);
    cairo_line_to(context_, x1, y1);
    cairo_stroke(context_);
    set_colour(kFaintInk);
  }

  // A gap where a value is not finite.
  void paint_line(const std::vector<double>& values, Colour colour, double width) {
    set_colour(colour);
    cairo_set_line_width(context_, width);
    cairo_set_line_join(context_, CAIRO_LINE_JOIN_ROUND);
    bool is_open = false;
    for (size_t i = 0; i < values.size(); ++i) {
      if (!std::isfinite(values[i])) {
        is_open = false;
        continue;
      }
      (is_open ? cairo_line_to : cairo_move_to)(context_, x_of(static_cast<double>(i)),
                                                y_of(values[i]));
      is_open = true;
    }
    cairo_stroke(context_);
  }

  // A red dot with a white rim, visible on any line.
  void paint_dot(double x, double y) {
    cairo_new_sub_path(context_);
    cairo_arc(context_, x, y, 4.6, 0, 2 * std::numbers::pi);
    set_colour({1, 1, 1});
    cairo_fill(context_);
    cairo_arc(context_, x, y, 3.5, 0, 2 * std::numbers::pi);
    set_colour(kInferenceColour);
    cairo_fill(context_);
  }

  static int tick_decimals(const std::vector<double>& ticks) {
    if (ticks.size() < 2) {
      return 3;
    }
    return std::clamp(static_cast<int>(std::ceil(-std::log10(ticks[1] - ticks[0]) - 1e-9)), 0, 9);
  }

  double x_of(double step) const {
    return kLeft + (step - steps_.low) / (steps_.high - steps_.low) * (kRight - kLeft);
  }

  double y_of(double value) const {
    return top_ + kBottom - (value - values_.low) / (values_.high - values_.low) * (kBottom - kTop);
  }

  void set_colour(Colour colour) {
    cairo_set_source_rgb(context_, colour.red, colour.green, colour.blue);
  }

  void set_font(double size, cairo_font_weight_t weight) {
    cairo_select_font_face(context_, kFont, CAIRO_FONT_SLANT_NORMAL, weight);
    cairo_set_font_size(context_, size);
  }

  double width_of(std::string_view label) {
    cairo_text_extents_t extents;
    cairo_text_extents(context_, std::string(label).c_str(), &extents);
    return extents.x_advance;
  }

  // The label, shortened from its end until it is at most `width` wide.
  std::string fit(std::string label, double width) {
    if (width_of(label) <= width) {
      return label;
    }
    while (!label.empty() && width_of(label + "...") > width) {
      do {  // whole UTF-8 characters
        label.pop_back();
      } while (!label.empty() && (static_cast<unsigned char>(label.back()) & 0xC0U) == 0x80U);
    }
    return label + "...";
  }

  // `align` 0: starts at x; 0.5: centred; 1: ends at x. `y` is the base line.
  void text(std::string_view label, double x, double y, double align) {
    cairo_move_to(context_, x - align * width_of(label), y);
    cairo_show_text(context_, std::string(label).c_str());
  }

  cairo_t* context_;
  int64_t action_horizon_;
  double top_ = 0;  // of the current panel
  Range steps_, values_;
};

}  // namespace

std::vector<double> axis_ticks(double low, double high, int count) {
  SINEW_CHECK(low < high && std::isfinite(low) && std::isfinite(high) && count > 0);
  const double rough = (high - low) / count;
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  double distance = 10 * power;
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= rough * (1 - 1e-9)) {
      distance = factor * power;
      break;
    }
  }
  std::vector<double> ticks;
  const double slack = 1e-9 * (high - low);
  for (double i = std::ceil((low - slack) / distance); i * distance <= high + slack; i += 1) {
    ticks.push_back(i * distance + 0.0);  // no negative zero
  }
  return ticks;
}

Result<std::vector<PlotTarget>> plot_targets(const std::filesystem::path& path, int64_t id,
                                             bool several) {
  std::error_code ignored;
  if (path.extension().empty() || std::filesystem::is_directory(path, ignored)) {
    const std::string name = fmt::format("traj_{}", id);
    return std::vector<PlotTarget>{{path / (name + ".png"), PlotFormat::kPng},
                                   {path / (name + ".svg"), PlotFormat::kSvg}};
  }
  const std::string ending = path.extension().string();
  if (ending != ".png" && ending != ".svg") {
    return usage_error(
        "--save-plot-path {}: plots are written as .png or .svg, not {}; a path without an ending "
        "is a folder for both",
        path.string(), ending);
  }
  std::filesystem::path file = path;
  if (several) {
    file.replace_filename(fmt::format("{}_traj_{}{}", path.stem().string(), id, ending));
  }
  return std::vector<PlotTarget>{{file, ending == ".png" ? PlotFormat::kPng : PlotFormat::kSvg}};
}

Status check_plot_size(const std::vector<PlotTarget>& targets, int64_t dims) {
  const bool has_png = std::any_of(targets.begin(), targets.end(), [](const PlotTarget& target) {
    return target.format == PlotFormat::kPng;
  });
  if (has_png && dims * kPlotPanelHeight > kMaxPngPixels) {
    return usage_error(
        "--save-plot-path: {} action dimensions make a PNG of {} pixels height, the limit is {}; "
        "choose keys with --modality-keys or write .svg",
        dims, dims * kPlotPanelHeight, kMaxPngPixels);
  }
  return {};
}

Result<std::string> draw_plot(const TrajectoryResult& trajectory,
                              const std::vector<ComparedKey>& keys, int64_t action_horizon,
                              PlotFormat format) {
  const std::vector<Panel> panels = make_panels(trajectory, keys);
  const auto height = static_cast<int>(panels.size()) * kPlotPanelHeight;
  std::string bytes;
  Surface surface;
  if (format == PlotFormat::kPng) {
    surface.reset(cairo_image_surface_create(CAIRO_FORMAT_RGB24, kPlotWidth, height));
  } else {
    surface.reset(cairo_svg_surface_create_for_stream(append_bytes, &bytes, kPlotWidth, height));
    cairo_svg_surface_set_document_unit(surface.get(), CAIRO_SVG_UNIT_PX);
  }
  const Context context(cairo_create(surface.get()));
  PlotPainter(context.get(), action_horizon).paint(panels);
  cairo_status_t status = cairo_status(context.get());
  if (status == CAIRO_STATUS_SUCCESS && format == PlotFormat::kPng) {
    status = cairo_surface_write_to_png_stream(surface.get(), append_bytes, &bytes);
  }
  cairo_surface_finish(surface.get());
  if (status == CAIRO_STATUS_SUCCESS) {
    status = cairo_surface_status(surface.get());
  }
  if (status != CAIRO_STATUS_SUCCESS) {
    return internal_error("drawing {}x{} pixels failed: {}", kPlotWidth, height,
                          cairo_status_to_string(status));
  }
  return bytes;
}

}  // namespace sinew::eval
