package notation

// RawSignature is rawSignature, for tests.
var RawSignature = rawSignature
