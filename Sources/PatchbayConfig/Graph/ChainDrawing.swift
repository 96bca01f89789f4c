import PatchbayAudio
import PatchbayCore

/// One chain: the carrier at the left, the agents at the right, a lane for each way between them.
struct ChainDrawing {
    private let outline: PipelineOutline
    private let chain: PipelineOutline.Chain
    private let there: LaneDrawing
    private let back: LaneDrawing
    private let carrierWidth: Double
    private let agentWidth: Double
    private let agentHeight: Double
    /// From the one lane's line to the other's.
    private let distance: Double

    init(_ outline: PipelineOutline, _ chain: PipelineOutline.Chain) {
        self.outline = outline
        self.chain = chain
        there = LaneDrawing(chain.before, from: outline.carrierFormat, isAbove: true)
        back = LaneDrawing(chain.after, from: chain.joint, isAbove: false)
        carrierWidth = max(92, outline.carrier.pixels(13.5, isBold: true) + 28)
        let joint = chain.joint
        let agentWidth = max(
            136, chain.agents.map { $0.type.pixels(13.5, isBold: true) + 56 }.max() ?? 0,
            min(230, chain.agents.map { $0.formats.words(at: joint).pixels(11) + 48 }.max() ?? 0))
        self.agentWidth = agentWidth
        let agentHeight = 34 + chain.agents.reduce(0) { $0 + Self.height(of: $1, at: joint, agentWidth) } + 10
        self.agentHeight = agentHeight
        distance = max(there.below + back.above + 24, agentHeight - SVGLayout.boxHeight, 84)
    }

    private var lane: Double { max(there.width, back.width, 180) }
    var width: Double { carrierWidth + lane + agentWidth }
    var height: Double { there.above + distance + back.below }

    func draw(on canvas: inout SVGCanvas, x: Double, y top: Double, width: Double) {
        let extra = max(0, width - self.width)
        let upper = top + there.above
        let lower = upper + distance
        let begin = x + carrierWidth
        let end = begin + lane + extra
        let (boxTop, boxHeight) = (upper - SVGLayout.boxHeight / 2, distance + SVGLayout.boxHeight)

        there.draw(on: &canvas, from: begin, to: end, y: upper)
        back.draw(on: &canvas, from: end, to: begin, y: lower)

        canvas.box("carrier", x: x, y: boxTop, width: carrierWidth, height: boxHeight)
        let middle = (upper + lower) / 2
        canvas.text(outline.carrier, "name ink", x: x + carrierWidth / 2, y: middle - 2, anchor: .middle)
        canvas.text("caller", "small soft", x: x + carrierWidth / 2, y: middle + 15, anchor: .middle)
        if !chain.latency.framing.label.isEmpty {
            canvas.text(
                chain.latency.framing.label, "small faint", x: x + carrierWidth / 2, y: middle + 32, anchor: .middle)
        }

        canvas.box("agent", x: end, y: boxTop, width: agentWidth, height: boxHeight)
        let title = chain.agents.count > 1 ? "agents, in this order" : "agent"
        canvas.text(title, "small amber", x: end + 16, y: boxTop + 22)
        var y = boxTop + 34 + max(0, boxHeight - agentHeight) / 2
        for (index, agent) in chain.agents.enumerated() {
            draw(agent, index, on: &canvas, x: end, y: y)
            y += Self.height(of: agent, at: chain.joint, agentWidth)
        }
    }

    private static func height(of agent: PipelineOutline.Agent, at joint: AudioFormat, _ width: Double) -> Double {
        24 + Double(formatLines(agent, joint, width).count) * 15 + 6
    }

    private static func formatLines(
        _ agent: PipelineOutline.Agent, _ joint: AudioFormat, _ width: Double
    ) -> [String] {
        (agent.isUnreachable ? "never tried" : agent.formats.words(at: joint)).lines(
            width: width - 44, size: 11, limit: 5)
    }

    private func draw(_ agent: PipelineOutline.Agent, _ index: Int, on canvas: inout SVGCanvas, x: Double, y: Double) {
        let isOne = chain.agents.count == 1
        if !isOne { canvas.text("\(index + 1)", "small amber", x: x + 16, y: y + 15) }
        let left = x + (isOne ? 16 : 32)
        canvas.text(agent.type, agent.isUnreachable ? "name faint struck" : "name ink", x: left, y: y + 15)
        if agent.delay > .zero {
            canvas.text(agent.delay.label, "small faint", x: x + agentWidth - 12, y: y + 15, anchor: .end)
        }
        for (line, words) in Self.formatLines(agent, chain.joint, agentWidth).enumerated() {
            canvas.text(words, "small joint", x: left, y: y + 31 + Double(line) * 15)
        }
    }
}
