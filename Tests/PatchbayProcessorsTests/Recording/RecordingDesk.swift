import Foundation
import Glibc
import NIOCore
import PatchbayAudio
import PatchbayConfig
import PatchbayCore
import Synchronization

@testable import PatchbayProcessors

/// A folder that goes with the test, and a writer that works when it is told to.
final class Desk {
    let folder = NSTemporaryDirectory() + "recorder-\(UUID().uuidString)"
    let reports = Reports()
    let writer: RecordingWriter

    final class Reports: Sendable {
        let all = Mutex<[RecordingReport]>([])
    }

    init() {
        let reports = reports
        writer = RecordingWriter(hasThread: false) { report in reports.all.withLock { $0.append(report) } }
        mkdir(folder, 0o755)
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    func tap(
        _ values: [String: VariableValue] = ["path": "call.wav"], sid: String = "CA1",
        format: AudioFormat = .telephony
    ) throws -> any MediaTap {
        let recorder = Recorder(writer: writer)
        let make = try recorder.makeTap(Settings(recorder.spec.fields, values, directory: folder))
        return try make(
            CallInfo(id: "id-\(sid)", callSid: sid, from: "+15550100001", to: "+15550100002", pipeline: "p"), format)
    }

    func wav(_ name: String = "call.wav") throws -> WAVFile { try WAVFile(path: "\(folder)/\(name)") }

    var report: RecordingReport? { reports.all.withLock { $0.last } }
}

func mulaw(_ samples: [Int16]) -> ByteBuffer {
    ByteBuffer(bytes: samples.map(G711.encodeMulaw))
}

func pcm(_ samples: [Int16]) -> ByteBuffer {
    var buffer = ByteBuffer()
    samples.withUnsafeBytes { _ = buffer.writeBytes($0) }
    return buffer
}

func channel(_ index: Int, of stereo: [Int16]) -> [Int16] {
    stride(from: index, to: stereo.count, by: 2).map { stereo[$0] }
}

/// The first sample that is not silence.
func onset(_ samples: [Int16]) -> Int? { samples.firstIndex { abs(Int($0)) > 200 } }

func millis(_ value: Int64) -> TimeSpan { .milliseconds(value) }
