local text = require('codex.approval.text')

describe('the words of a question', function()
  it('show a command as a shell reads it', function()
    T.eq(
      [[git commit -m 'it'\''s "done"' '']],
      (text.command({ 'git', 'commit', '-m', [[it's "done"]], '' }))
    )
  end)

  it('show the script of a shell by itself', function()
    T.eq({ 'ls | wc -l', '/bin/bash -lc' }, { text.command({ '/bin/bash', '-lc', 'ls | wc -l' }) })
    T.eq({ 'bash -lc ls x' }, { text.command({ 'bash', '-lc', 'ls', 'x' }) })
  end)

  it('hide no character that does not print', function()
    T.eq([[printf $'\x1b[2J\x0d it\'s']], (text.command({ 'printf', "\27[2J\r it's" })))
    T.has([[$'ls\x1b[2K']], (text.command({ 'bash', '-c', 'ls\27[2K' })))
  end)

  it('name the directory, the sandbox, the network and the reason', function()
    local shown = text.of({
      kind = 'exec',
      call_id = 'call_1',
      msg = {
        call_id = 'call_1',
        command = { 'make' },
        cwd = vim.env.HOME .. '/x',
        sandbox = 'none',
        network = true,
        reason = 'it writes to\n/usr/local',
      },
    })
    T.eq({
      ' make',
      '',
      ' in        ~/x',
      ' sandbox   none: it may change whatever you may',
      ' network   yes',
      ' because   it writes to',
      '           /usr/local',
    }, shown.lines)
    T.eq('Run this command?', shown.title)
    T.eq({ first = 1, last = 1, syntax = 'sh' }, shown.code)
  end)

  it('show the arguments of a tool as JSON, a member a line', function()
    local shown = text.of({
      kind = 'mcp',
      call_id = 'c',
      msg = { invocation = { server = 's', tool = 't', arguments = { b = { 1, 2 }, a = 'x' } } },
    })
    local code = vim.list_slice(shown.lines, shown.code.first, shown.code.last)
    T.eq({ ' {', '   "a": "x",', '   "b": [', '     1,', '     2', '   ]', ' }' }, code)
    T.has('t of the server s', shown.lines[1])
  end)

  it('show a patch as one diff', function()
    local diff = text.diff({
      ['/p/a'] = { update = { unified_diff = '@@ -1 +1 @@\n-a\n+b\n', move_path = '/p/b' } },
      ['/p/c'] = 'delete',
      ['/p/d'] = { add = { content = 'x\ny\n' } },
    })
    T.has('--- /p/a\n+++ /p/b\n@@ -1 +1 @@\n-a\n+b\n', diff)
    T.has('--- /p/c\n+++ /dev/null\n', diff)
    T.has('--- /dev/null\n+++ /p/d\n+x\n+y\n', diff)
  end)
end)
