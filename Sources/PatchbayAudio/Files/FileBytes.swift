import Glibc

/// Why the operating system would not read or write, for the error types of the file formats.
struct FileFault: Error {
    enum Kind { case unreadable, tooLarge, unwritable }
    var kind: Kind
    var message: String
    /// How many bytes went well before.
    var offset: Int
}

/// All bytes of a file or pipe, blocking the calling thread.
func readBytes(_ path: String, maximumBytes: Int) throws(FileFault) -> [UInt8] {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
        throw FileFault(kind: .unreadable, message: "cannot open the file: \(systemErrorText(errno))", offset: 0)
    }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var information = stat()
    if fstat(descriptor, &information) == 0 {
        // Only a hint: pipes have no size, and a file may still grow.
        bytes.reserveCapacity(min(max(0, Int(information.st_size)), maximumBytes) + 1)
    }
    let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 16)
    defer { piece.deallocate() }
    while true {
        let count = read(descriptor, piece.baseAddress, piece.count)
        if count == 0 { return bytes }
        guard count > 0 else {
            if errno == EINTR { continue }
            throw FileFault(
                kind: .unreadable, message: "cannot read the file: \(systemErrorText(errno))", offset: bytes.count)
        }
        guard bytes.count + count <= maximumBytes else {
            throw FileFault(
                kind: .tooLarge, message: "larger than the \(maximumBytes) bytes that are read at once; split it",
                offset: maximumBytes)
        }
        bytes.append(contentsOf: UnsafeRawBufferPointer(rebasing: piece[..<count]))
    }
}

/// The operating system's text for an error number.
func systemErrorText(_ number: Int32) -> String { strerror(number).map { String(cString: $0) } ?? "error \(number)" }

/// A file that is written from start to end. Closed when it goes, if it was not before.
final class FileOutput {
    private var descriptor: Int32
    private var offset = 0

    /// Makes the file, replacing what is there.
    init(path: String) throws(FileFault) {
        descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else {
            throw FileFault(
                kind: .unwritable, message: "cannot open the file for writing: \(systemErrorText(errno))", offset: 0)
        }
    }

    deinit { if descriptor >= 0 { _ = Glibc.close(descriptor) } }

    /// Some file systems report a full disk only here. Closing again does nothing.
    func close() throws(FileFault) {
        guard descriptor >= 0 else { return }
        defer { descriptor = -1 }
        guard Glibc.close(descriptor) == 0 else {
            throw FileFault(
                kind: .unwritable, message: "cannot close the file: \(systemErrorText(errno))", offset: offset)
        }
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws(FileFault) {
        var rest = bytes
        while let start = rest.baseAddress, rest.count > 0 {
            let count = Glibc.write(descriptor, start, rest.count)
            guard count >= 0 else {
                if errno == EINTR { continue }
                throw FileFault(
                    kind: .unwritable,
                    message:
                        "cannot write the file: \(systemErrorText(errno)); free some space, or choose another place",
                    offset: offset)
            }
            offset += count
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
    }

    func write(_ bytes: [UInt8]) throws(FileFault) {
        try bytes.withUnsafeBufferPointer { (bytes) throws(FileFault) in try write(UnsafeRawBufferPointer(bytes)) }
    }
}
