// Prints a fresh key pair of each algorithm that clients sign assertions with.
import { generateKeyPairSync } from "node:crypto";

const kinds = [
  ["ES256", "ec", { namedCurve: "P-256" }],
  ["RS256", "rsa", { modulusLength: 2048 }],
  ["EdDSA", "ed25519", {}],
];
const pairs = kinds.map(([algorithm, kind, options]) => {
  const { publicKey, privateKey } = generateKeyPairSync(kind, options);
  return {
    algorithm,
    pem: privateKey.export({ type: "pkcs8", format: "pem" }),
    public: { ...publicKey.export({ format: "jwk" }), alg: algorithm, use: "sig" },
  };
});
console.log(JSON.stringify(pairs));
