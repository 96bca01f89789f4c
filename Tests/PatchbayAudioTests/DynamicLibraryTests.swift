import Glibc
import Testing

@testable import PatchbayAudio

@Suite struct DynamicLibraryTests {
    @Test func whatIsAbsentIsToBeInstalled() {
        let error = #expect(throws: DynamicLibraryError.self) {
            try DynamicLibrary("libpatchbay-nowhere.so.9", package: "nowhere9")
        }
        #expect(
            error?.message == "needs libpatchbay-nowhere.so.9, which is not installed: apt-get install nowhere9")
    }

    @Test func whatIsThereAndDamagedIsSaid() throws {
        var template = Array("/tmp/patchbay-library-XXXXXX".utf8CString)
        let folder = String(cString: try #require(mkdtemp(&template)))
        let path = folder + "/libdamaged.so.1"
        defer {
            unlink(path)
            rmdir(folder)
        }
        try WAVFile(samples: [1, 2, 3], sampleRate: 8000).write(to: path)
        let error = #expect(throws: DynamicLibraryError.self) { try DynamicLibrary(path, package: "damaged1") }
        #expect(error?.message.hasPrefix("needs \(path), which cannot be loaded (") == true)
        #expect(error?.message.hasSuffix("): apt-get install --reinstall damaged1") == true)
    }

    @Test func aLibraryThatLacksAnotherIsNotAbsent() {
        let missing = "cannot open shared object file: No such file or directory"
        #expect(DynamicLibrary.message("liba.so.1", "a1", reason: "liba.so.1: \(missing)").contains("not installed"))
        #expect(DynamicLibrary.message("liba.so.1", "a1", reason: "libb.so.2: \(missing)").contains("libb.so.2"))
    }

    @Test func aFunctionThatIsNotThereIsNamed() throws {
        let library = try DynamicLibrary("libc.so.6", package: "libc6")
        let error = #expect(throws: DynamicLibraryError.self) {
            try library.function("patchbay_nothing", as: (@convention(c) () -> Int32).self)
        }
        #expect(error?.message.contains("patchbay_nothing") == true)
    }
}
