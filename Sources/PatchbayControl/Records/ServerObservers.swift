import Foundation
package import Logging
package import PatchbayCore
package import PatchbayStore

/// What a server has watch each of its calls, without the server: for a benchmark of what that costs.
package struct ServerObservers: Sendable {
    private let journal: CallJournal
    private let reading: EventFeed.Reading?
    private let traces: TraceFile
    private let logger: Logger

    package init(_ store: any Store, traces: TraceFile, logger: Logger) {
        let feed = EventFeed()
        reading = feed.subscribe(to: nil, as: .local) {}
        journal = CallJournal(store, feed: feed, logger: logger)
        self.traces = traces
        self.logger = logger
    }

    /// The record with its journal, of which a reader is told, the log, and the spans.
    package func observers(for info: CallInfo) -> [any CallObserver] {
        let recorder = CallRecorder(info, startedAt: .now, journal: journal)
        let trace = CallTrace(info, traces)
        trace.begin()
        recorder.begin()
        return [recorder, CallLog(logger: logger, recorder: recorder), trace]
    }
}
