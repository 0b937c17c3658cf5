package jetstream

// AskSync is askSync, for a server whose streams cannot be opened: the system account has none.
var AskSync = askSync
