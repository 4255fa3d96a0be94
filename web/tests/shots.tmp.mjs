import { startStub } from '/work/main/web/tests/stub/server.mjs';
import { openBrowser, snap, watchErrors, PHONE, DESKTOP } from '/work/main/web/tests/browser/chromium.mjs';
const dark = process.argv[2] === 'dark';
for (const [n, vp] of [['phone', PHONE], ['desktop', DESKTOP]]) {
  const stub = await startStub(); const s = stub.state;
  const b = await openBrowser({ viewport: vp, colorScheme: dark ? 'dark':'light' });
  const p = b.context.pages()[0]; const errs = watchErrors(p);
  const shot = (x) => snap(p, `stub-${x}-${n}${dark?'-dark':''}`);
  await p.goto(stub.url + '/'); await p.waitForSelector('.card'); await shot('landing');
  await p.goto(stub.url + '/e/noite'); await p.waitForSelector('body[data-state=waiting]'); await shot('waiting');
  for (const st of ['lobby']) { s.page=st; s.place.state=st; await p.goto(stub.url+'/e/noite'); await p.waitForTimeout(400); await shot(st); }
  s.place.state='lapsed'; s.page='lapsed'; await p.goto(stub.url+'/e/noite'); await shot('lapsed');
  s.page='shop'; await p.goto(stub.url+'/e/noite'); await p.waitForSelector('#login-links a'); await shot('login');
  await p.click('#login-links a'); await p.waitForSelector('.section'); await shot('choose');
  await p.click('text=Pick seats'); await p.waitForSelector('.seat-row'); await p.click('.seat.free >> nth=10'); await p.click('.seat.free >> nth=11'); await shot('picker');
  await p.click('text=Reserve these seats'); await p.waitForSelector('#view-hold:not([hidden])'); await shot('pay');
  s.orders.set('o9',{order:'o9',status:'queued',tickets:[],next_action:null});
  await p.goto(stub.url+'/orders/o9?returned=1'); await p.waitForSelector('.status[data-tone]'); await shot('order-confirming');
  s.orders.set('o9',{order:'o9',status:'paid',tickets:[{ticket:'t1',section:'Stalls',row:'C',seat:'7'},{ticket:'t2',section:'Lawn',row:null,seat:null}],next_action:null});
  await p.waitForSelector('.ticket'); await p.waitForTimeout(200); await shot('order-paid');
  s.orders.set('o9',{order:'o9',status:'failed',tickets:[],event:'noite',next_action:null}); await p.goto(stub.url+'/orders/o9'); await p.waitForSelector('[data-tone=bad]'); await shot('order-failed');
  await p.goto(stub.url+'/tickets/t1'); await p.waitForSelector('#ticket:not([hidden])'); await p.waitForTimeout(200); await shot('ticket');
  console.log(errs);
  await b.close(); await stub.close();
}
