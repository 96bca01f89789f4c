import Patchbay
import Synchronization
import Testing

@testable import PatchbayControl

@Suite struct RateLimiterTests {
    @Test func aBucketLetsABurstPassAndThenItsRate() {
        var bucket = TokenBucket(capacity: 60, perMinute: 60, at: 100)
        for _ in 0..<60 { #expect(bucket.take(at: 100) == nil) }
        #expect(bucket.take(at: 100) == 1)
        #expect(bucket.take(at: 100.25) == 0.75)
        #expect(bucket.take(at: 101) == nil)
        #expect(bucket.take(at: 101) != nil)
        // A clock that goes back gives nothing, and takes nothing.
        #expect(bucket.take(at: 50) != nil)
        #expect(bucket.take(at: 102) == nil)
        // A long pause fills it to the brim, and no further.
        for _ in 0..<60 { #expect(bucket.take(at: 1e9) == nil) }
        #expect(bucket.take(at: 1e9) != nil)
    }

    @Test func keysAreCountedByThemselvesInBoundedMemory() {
        let now = Mutex(0.0)
        let limiter = RateLimiter("test", perMinute: 2, maximumKeys: 100, clock: { now.withLock { $0 } })
        #expect(limiter.take("a") == nil && limiter.take("a") == nil && limiter.take("a") == 30)
        #expect(limiter.take("b") == nil)
        for index in 0..<10_000 {
            _ = limiter.take("key \(index)")
            // Who asks again is not forgotten, however many others there are.
            if index % 20 == 0 { #expect(limiter.take("a") != nil) }
        }
        #expect(limiter.count <= 100)
        #expect(limiter.take("b") == nil, "forgotten, and so fresh")
        now.withLock { $0 = 30 }
        #expect(limiter.take("a") == nil)
    }

    @Test func theDefaultsLetARushPass() {
        let traffic = TrafficLimits(.init(), clock: { 0 })
        for index in 0..<60 {
            #expect(traffic.admitCall(from: "+1555000\(1000 + index)", to: "+15550100001"), "to one number")
        }
        for index in 0..<300 {
            #expect(traffic.admitCall(from: "+15550100099", to: "+1555020\(1000 + index)"), "over many numbers")
        }
        #expect(!traffic.admitCall(from: "+15550100099", to: "+15550209999"), "one caller alone")
        for _ in 0..<400 { #expect(traffic.admitCall(from: "anonymous", to: "+15550100002"), "nobody in particular") }
    }

    @Test func socketsOfAnAddressAreCounted() {
        var limits = ServerSettings.Limits()
        limits.socketsPerAddress = 2
        let traffic = TrafficLimits(limits, clock: { 0 })
        #expect(traffic.openSocket("a") && traffic.openSocket("a") && !traffic.openSocket("a"))
        #expect(traffic.openSocket("b"))
        traffic.closeSocket("a")
        #expect(traffic.openSocket("a") && !traffic.openSocket("a"))
    }
}
