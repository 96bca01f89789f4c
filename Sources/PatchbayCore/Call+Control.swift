/// What anybody may ask of a running call, from any thread.
extension Call {
    /// Ends the call in order: what the carrier holds is still played.
    public func hangUp(_ reason: EndReason) {
        if core == nil { endBeforeStart = endBeforeStart ?? reason }
        core?.hangUp(reason, at: .now(), into: &output)
        perform()
    }

    /// Ends the call at once.
    public func cancel(_ reason: EndReason) {
        if core == nil { endBeforeStart = endBeforeStart ?? reason }
        core?.cancel(reason, at: .now(), into: &output)
        perform()
    }

    /// The carrier says elsewhere (by a status webhook) that the caller is gone.
    public func carrierCompleted() {
        if core == nil { endBeforeStart = endBeforeStart ?? EndReason(.callerHungUp) }
        core?.callerLeft(at: .now(), into: &output)
        perform()
    }

    /// The carrier proves by asking for the next step that the stream is over.
    public func streamLost() {
        core?.carrierClosed(at: .now(), into: &output)
        perform()
    }

    /// Tells the call's recordings to pause, for instance around a card number, or to go on.
    ///
    /// - Returns: False when the call records nothing.
    public func recording(_ command: RecordingCommand) -> Bool {
        guard let core, !core.taps.isEmpty else { return false }
        self.core?.recording(command, at: .now(), into: &output)
        perform()
        return true
    }

    /// Tells the agent something that it should know and not answer at once.
    ///
    /// - Returns: False when no agent is ready for it.
    public func addContext(_ text: String) -> Bool {
        defer { perform() }
        return core?.addContext(text, at: .now(), into: &output) ?? false
    }

    /// Gives the call another agent, by its place in the list of its own; see ``CallCore/changeAgent(to:at:into:)``.
    ///
    /// - Returns: False when the call is over, or has not begun.
    /// - Throws: When there is no such agent, or it cannot be opened; the call goes on with the one it has.
    public func changeAgent(to index: Int) throws(PipelineError) -> Bool {
        let isChanged = try core?.changeAgent(to: index, at: .now(), into: &output) ?? false
        perform()
        return isChanged
    }

    /// Gives the call an agent that is not in its list.
    ///
    /// - Parameter identity: Who it is to ``AgentHealth``.
    public func changeAgent(
        to backend: any AgentBackend, identity: AgentIdentity? = nil
    ) throws(PipelineError) -> Bool {
        let isChanged = try core?.changeAgent(to: backend, identity: identity, at: .now(), into: &output) ?? false
        perform()
        return isChanged
    }

    /// Connects the caller with a person once what waits has been played.
    ///
    /// - Returns: False when the call is over.
    public func transfer(to number: PhoneNumber) -> Bool {
        defer { perform() }
        return core?.transferCaller(to: number, at: .now(), into: &output) ?? false
    }

    /// How the call stands.
    public var status: CallStatus? {
        core.map { CallStatus($0, at: .now()) } ?? last
    }
}
