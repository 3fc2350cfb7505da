// Leads every TLS connection of Node through the proxy of HTTPS_PROXY. Most of Node's clients read no proxy variable;
// all of them end in tls.connect. Loaded by NODE_OPTIONS=--require.
'use strict';
const { Duplex } = require('node:stream');
const net = require('node:net');
const tls = require('node:tls');

const env = (name) => process.env[name.toLowerCase()] || process.env[name.toUpperCase()] || '';

function proxyFor(host, port) {
  let proxy;
  try { proxy = new URL(env('https_proxy')); } catch { return undefined; }
  const name = host.replace(/^\[|\]$/g, '').replace(/\.$/, '').toLowerCase();
  const direct = env('no_proxy').toLowerCase().split(/[\s,]+/).some((entry) => {
    const [, plain, only] = /^\[?(.*?)\]?(?::(\d+))?$/.exec(net.isIPv6(entry) ? `[${entry}]` : entry);
    const suffix = plain.replace(/^\*?\.?/, '');
    return entry === '*' || (suffix && (!only || +only === port) && (name === suffix || name.endsWith(`.${suffix}`)));
  });
  return proxy.protocol === 'http:' && !direct ? proxy : undefined;
}

// The inside of a CONNECT tunnel: what TLS writes waits until the proxy has answered.
class Tunnel extends Duplex {
  constructor(proxy, host, port) {
    super();
    const raw = net.connect(+proxy.port || 80, proxy.hostname.replace(/^\[|\]$/g, ''));
    const target = net.isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
    const user = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
    const login = user === ':' ? '' : `Proxy-Authorization: Basic ${Buffer.from(user).toString('base64')}\r\n`;
    raw.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n${login}\r\n`);
    let head = Buffer.alloc(0);
    raw.on('data', (chunk) => {
      if (!head) { if (!this.push(chunk)) raw.pause(); return; }
      head = Buffer.concat([head, chunk]);
      const end = head.indexOf('\r\n\r\n');
      if (end < 0 && head.length < 16384) return;
      const [status] = head.toString('latin1').split('\r\n');
      if (end < 0 || !/^HTTP\/1\.[01] 2\d\d\b/.test(status)) {
        this.destroy(Object.assign(new Error(`the proxy refused ${target}: ${status}`), { code: 'ECONNREFUSED' }));
        return;
      }
      const rest = head.subarray(end + 4);
      head = undefined;
      if (this.opened) this.opened();
      if (rest.length) this.push(rest);
    });
    raw.on('end', () => (head ? this.destroy(new Error('the proxy closed the connection')) : this.push(null)));
    raw.on('error', (error) => this.destroy(error));
    raw.on('close', () => this.destroy());
    Object.assign(this, { raw, ready: () => !head });
  }
  _read() { this.raw.resume(); }
  _write(chunk, _, done) {
    const write = () => this.raw.write(chunk, done);
    if (this.ready()) write(); else this.opened = write;
  }
  _final(done) { if (this.ready()) this.raw.end(done); else { this.raw.destroy(); done(); } }
  _destroy(error, done) { this.raw.destroy(); done(error); }
}

const connect = tls.connect;
const mark = Symbol.for('leasehold.connect');
if (!connect[mark]) {
  tls.connect = function (...args) {
    const given = args.flat().filter((arg) => arg !== null && arg !== undefined);
    const done = given.find((arg) => typeof arg === 'function');
    const options = Object.assign({}, ...given.filter((arg) => typeof arg === 'object'));
    const [port, host] = given.filter((arg) => typeof arg !== 'object' && typeof arg !== 'function');
    if (port !== undefined) options.port = port;
    if (typeof host === 'string') options.host = host;
    options.host ||= 'localhost';
    const isPath = options.path || (typeof options.port === 'string' && !/^\d+$/.test(options.port));
    const proxy = options.socket || isPath || !options.port ? undefined : proxyFor(options.host, +options.port);
    if (!proxy) return connect.apply(this, args);
    const tunnel = new Tunnel(proxy, options.host, +options.port);
    const socket = connect.call(this, { ...options, socket: tunnel }, done);
    // Without these a kept connection would hold the process open for ever.
    for (const name of ['ref', 'unref', 'setKeepAlive', 'setNoDelay']) {
      socket[name] = (...values) => { tunnel.raw[name](...values); return socket; };
    }
    return socket;
  };
  tls.connect[mark] = true;
  require('node:module').syncBuiltinESMExports?.();
}
