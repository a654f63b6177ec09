// Preloaded (`node --import`) into a server that is somebody else's program, so
// that a test can own it:
//
// - it listens on loopback only, on a port that the kernel picks, and says which
//   (`testbed: listening on <port>`): no race for a free port;
// - it ends when its standard input closes, so it cannot outlive the test's
//   process, however that process dies.
import net from "node:net";

const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (_port, ...rest) {
  const callback = rest.findLast((value) => typeof value === "function");
  this.once("listening", () => {
    console.error(`testbed: listening on ${this.address().port}`);
  });
  return listen.call(this, { host: "127.0.0.1", port: 0 }, callback);
};

process.stdin.on("end", () => process.exit(0));
process.stdin.on("error", () => process.exit(0));
process.stdin.resume();
