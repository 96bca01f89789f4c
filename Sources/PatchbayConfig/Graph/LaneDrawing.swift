import PatchbayAudio
import PatchbayCore

/// The stages of one way, on a line: boxes, with the format at every joint where it changes, and side chains beside it.
struct LaneDrawing {
    private struct Item {
        let stage: PipelineOutline.Stage
        let width: Double
        let height: Double
        /// The words at the joint before it.
        let joint: String
        let gap: Double
    }

    private let items: [Item]
    /// The words at the last joint.
    private let lastJoint: String
    private let lastGap: Double
    /// Side chains go above the line on the way there, and below it on the way back.
    private let isAbove: Bool
    /// Room that the boxes need on either side of the line.
    private let half: Double

    init(_ stages: [PipelineOutline.Stage], from format: AudioFormat, isAbove: Bool) {
        self.isAbove = isAbove
        var shown: AudioFormat?
        var format = format
        items = stages.map { stage in
            // The first joint of a lane has words, and every one where the format is another than before.
            let joint = shown == format ? "" : format.short
            shown = format
            format = stage.gives
            let size = StageBox(stage).size
            return Item(stage: stage, width: size.width, height: size.height, joint: joint, gap: Self.gap(joint))
        }
        lastJoint = shown == format ? "" : format.short
        lastGap = Self.gap(lastJoint)
        half = max(SVGLayout.boxHeight, items.map(\.height).max() ?? 0) / 2
    }

    private var hasLeftOut: Bool { items.contains { $0.stage.mark == .leftOut } }

    private static func gap(_ words: String) -> Double { words.isEmpty ? SVGLayout.gap : words.pixels(11) + 30 }

    private var tees: [Item] { items.filter { $0.stage.type == Structure.tee.type } }
    private var sideHeight: Double { Double(tees.count) * (SVGLayout.chipHeight + 18) }
    private var hasDelay: Bool { items.contains { !$0.stage.delay.label.isEmpty } }

    /// The width without stretching.
    var width: Double {
        let chain = items.reduce(lastGap) { $0 + $1.gap + $1.width }
        // A side chain begins at its tee, and needs room up to the end of the lane.
        let sides = tees.map { ChipRow($0.stage.branches.first?.stages ?? []).width + 60 }.max() ?? 0
        return max(chain, sides)
    }

    var above: Double { half + (isAbove ? sideHeight + (tees.isEmpty ? 0 : 8) : 12) }
    var below: Double {
        max(half + (hasDelay ? 18 : 4), hasLeftOut ? StageBox.leftOutDrop + SVGLayout.chipHeight : 0)
            + (isAbove ? 0 : sideHeight + (tees.isEmpty ? 0 : 8))
    }

    func draw(on canvas: inout SVGCanvas, from start: Double, to end: Double, y: Double) {
        let direction = end >= start ? 1.0 : -1.0
        let natural = items.reduce(lastGap) { $0 + $1.gap + $1.width }
        let extra = max(0, abs(end - start) - natural) / Double(items.count + 1)
        var x = start
        var level = 0.0
        for item in items {
            let next = x + direction * (item.gap + extra)
            let left = direction > 0 ? next : next - item.width
            if item.stage.mark == .leftOut {
                // The line goes on above what does not run.
                canvas.path("line", "M\(x.places(1)) \(y.places(1))H\((next + direction * item.width).places(1))")
                words(item.joint, from: x, to: next, y: y, on: &canvas)
            } else {
                joint(item.joint, from: x, to: next, y: y, on: &canvas)
            }
            StageBox(item.stage).draw(on: &canvas, x: left, y: y)
            if item.stage.type == Structure.tee.type, let side = item.stage.branches.first {
                level += 1
                draw(side, level, of: item, left: left, y: y, direction: direction, on: &canvas)
            }
            x = next + direction * item.width
        }
        joint(lastJoint, from: x, to: end, y: y, on: &canvas)
    }

    private func joint(_ words: String, from x1: Double, to x2: Double, y: Double, on canvas: inout SVGCanvas) {
        canvas.arrow("line", head: "head", from: x1, to: x2, y: y)
        self.words(words, from: x1, to: x2, y: y, on: &canvas)
    }

    private func words(_ words: String, from x1: Double, to x2: Double, y: Double, on canvas: inout SVGCanvas) {
        if !words.isEmpty { canvas.text(words, "small joint", x: (x1 + x2) / 2, y: y - 8, anchor: .middle) }
    }

    private func draw(
        _ side: PipelineOutline.Branch, _ level: Double, of item: Item, left: Double, y: Double, direction: Double,
        on canvas: inout SVGCanvas
    ) {
        let away = half + 18 + (level - 1) * (SVGLayout.chipHeight + 18) + SVGLayout.chipHeight / 2
        let line = isAbove ? y - away : y + away + (hasDelay ? 14 : 0)
        let middle = left + item.width / 2
        let row = ChipRow(side.stages)
        let begin = middle + direction * 34
        let edge = y + (isAbove ? -item.height / 2 : item.height / 2)
        canvas.path(
            "side",
            "M\(middle.places(1)) \(edge.places(1))V\(line.places(1))H\((begin - direction * 7).places(1))")
        canvas.head("sidehead", x: begin, y: line, isRight: direction > 0)
        row.draw(on: &canvas, x: begin, y: line, direction: direction)
    }
}

/// Small boxes in a row, joined by lines: the stages of a side chain or of a case.
struct ChipRow {
    private static let gap = 16.0
    private let stages: [PipelineOutline.Stage]

    init(_ stages: [PipelineOutline.Stage]) { self.stages = stages }

    private static func words(_ stage: PipelineOutline.Stage) -> String {
        (stage.mark == .inserted ? "+ " : "") + stage.type
            + (stage.settings.first.map { " · " + $0.cut(to: 110, size: 11) } ?? "")
            + (stage.branches.isEmpty ? "" : " …")
    }

    private static func width(_ stage: PipelineOutline.Stage) -> Double { words(stage).pixels(11) + 20 }

    var width: Double {
        stages.isEmpty ? 60 : stages.reduce(-Self.gap) { $0 + Self.width($1) + Self.gap }
    }

    /// - Parameter direction: 1 to the right, -1 to the left of `x`.
    func draw(on canvas: inout SVGCanvas, x: Double, y: Double, direction: Double = 1) {
        guard !stages.isEmpty else {
            canvas.text("nothing", "small faint", x: x + direction * 4, y: y + 4, anchor: direction > 0 ? .start : .end)
            return
        }
        var x = x
        for (index, stage) in stages.enumerated() {
            if index > 0 {
                canvas.path("line", "M\(x.places(1)) \(y.places(1))h\((direction * Self.gap).places(1))")
                x += direction * Self.gap
            }
            let width = Self.width(stage)
            let left = direction > 0 ? x : x - width
            let style = stage.mark == .inserted ? "inserted" : stage.mark == .leftOut ? "left" : "box"
            canvas.box(
                style, x: left, y: y - SVGLayout.chipHeight / 2, width: width, height: SVGLayout.chipHeight, radius: 6)
            canvas.text(Self.words(stage), "small ink", x: left + width / 2, y: y + 4, anchor: .middle)
            x += direction * width
        }
    }
}

/// The box of a stage in the main chain; that of a switch has a row for each case.
struct StageBox {
    private static let rowHeight = SVGLayout.chipHeight + 8
    /// From the line to the box of a stage that does not run.
    static let leftOutDrop = 12.0
    private let stage: PipelineOutline.Stage
    private var isSwitch: Bool { stage.type == Structure.switch.type && !stage.branches.isEmpty }

    init(_ stage: PipelineOutline.Stage) { self.stage = stage }

    private var name: String { (stage.mark == .inserted ? "+ " : "") + stage.type }

    /// The line under the name.
    private var detail: String {
        var words = stage.settings.prefix(2).joined(separator: " · ")
        if let hears = stage.hears { words = "hears \(hears.short)" + (words.isEmpty ? "" : " · " + words) }
        return words.cut(to: 150, size: 11)
    }

    private var labelWidth: Double { stage.branches.map { $0.label.pixels(11) + 16 }.max() ?? 0 }

    var size: (width: Double, height: Double) {
        if stage.mark == .leftOut { return (name.pixels(11) + 24, 2 * SVGLayout.chipHeight) }
        guard isSwitch else {
            let width = max(58, name.pixels(13.5, isBold: true) + 24, detail.pixels(11) + 24)
            return (width, SVGLayout.boxHeight)
        }
        let rows = stage.branches.map { ChipRow($0.stages).width }.max() ?? 0
        return (labelWidth + rows + 40, 34 + Double(stage.branches.count) * Self.rowHeight + 4)
    }

    /// - Parameter y: The line on which the box stands.
    func draw(on canvas: inout SVGCanvas, x: Double, y: Double) {
        let (width, height) = size
        let top = y - height / 2
        let middle = x + width / 2
        if stage.mark == .leftOut {
            let drop = y + Self.leftOutDrop
            canvas.box("left", x: x, y: drop, width: width, height: SVGLayout.chipHeight, radius: 6)
            canvas.text(name, "small faint struck", x: middle, y: drop + 18, anchor: .middle)
            return
        }
        if isSwitch {
            drawCases(on: &canvas, x: x, top: top)
        } else {
            let isInserted = stage.mark == .inserted
            canvas.box(isInserted ? "inserted" : "box", x: x, y: top, width: width, height: height)
            let ink = isInserted ? "green" : "ink"
            canvas.text(name, "name \(ink)", x: middle, y: y + (detail.isEmpty ? 5 : -3), anchor: .middle)
            if !detail.isEmpty { canvas.text(detail, "small soft", x: middle, y: y + 13, anchor: .middle) }
        }
        if !stage.delay.label.isEmpty {
            canvas.text(stage.delay.label, "small faint", x: middle, y: top + height + 14, anchor: .middle)
        }
    }

    private func drawCases(on canvas: inout SVGCanvas, x: Double, top: Double) {
        let (width, height) = size
        canvas.box("group", x: x, y: top, width: width, height: height)
        canvas.text("switch", "name ink", x: x + 14, y: top + 21)
        canvas.text("the caller's last key", "small faint", x: x + 66, y: top + 21)
        for (index, branch) in stage.branches.enumerated() {
            let y = top + 34 + (Double(index) + 0.5) * Self.rowHeight - 2
            canvas.box("chip", x: x + 12, y: y - 10, width: labelWidth, height: 20, radius: 5)
            canvas.text(branch.label, "small soft", x: x + 12 + labelWidth / 2, y: y + 4, anchor: .middle)
            ChipRow(branch.stages).draw(on: &canvas, x: x + 22 + labelWidth, y: y)
        }
    }
}
