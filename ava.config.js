export default {
  files: ['build/tests/**/*.test.js'],
  // Tests are real builds and real boots, on machines that may be slow.
  timeout: '5m',
  // More files than cores: tests wait for guests and for time-outs. Those of one file that work hard are `test.serial`: a
  // machine that is given everything at once has servers that answer late.
  concurrency: 3,
};
