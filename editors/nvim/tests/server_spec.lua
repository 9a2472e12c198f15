local S = require('support')

local function server()
  return require('codex.server').get()
end

--- Ask something, and wait for the answer: `{err, result}`.
local function asked(method, params)
  local answer, times = nil, 0
  server():request(method, params or vim.empty_dict(), function(err, result)
    answer, times = { err = err, result = result }, times + 1
  end)
  T.wait(function()
    return answer
  end, 'the answer to ' .. method)
  T.eq(1, times)
  return answer
end

describe('a server', function()
  it('is started when it is first needed, and is the same one for the whole project', function()
    local world = S.world({}, { files = { ['a/one.txt'] = '1\n', ['b/two.txt'] = '2\n' } })
    T.eq(0, require('codex.server').running())
    vim.cmd.edit('a/one.txt')
    local first = server()
    T.eq('starting', first.state)
    T.eq(world.folder, first.root)
    vim.cmd.edit('b/two.txt')
    T.eq(true, first == server())
    T.eq({ sessions = {} }, { sessions = asked('session/list').result.sessions })
    T.eq('ready', first.state)
    T.eq(1, require('codex.server').running())
  end)

  it('has a process for each project', function()
    local world = S.world({})
    local other = S.folder()
    S.write(other .. '/.git/HEAD', '')
    S.write(other .. '/x.txt', 'x\n')
    local first = server()
    vim.cmd.edit(other .. '/x.txt')
    T.eq(other, server().root)
    T.eq(world.folder, first.root)
    T.wait(function()
      return first.state == 'ready' and server().state == 'ready'
    end)
    T.eq(2, require('codex.server').running())
  end)

  it('answers errors of the server as they are', function()
    S.world({})
    local err = asked('session/read', { sessionId = '00000000-0000-4000-8000-00000000dead' }).err
    T.eq(1001, err.code)
    T.eq('SessionNotFound', require('codex.errors').name(err.code))
  end)

  it('answers everything once when it dies, and is started again', function()
    S.world({}, { setup = { restart = { delay_ms = 10 } } })
    local codex = server()
    asked('session/list')
    local states = {}
    codex:on('state', function(state)
      table.insert(states, state)
    end)
    S.signal('sigstop')
    local errors = {}
    for _ = 1, 3 do
      codex:request('session/list', vim.empty_dict(), function(err)
        table.insert(errors, err.code)
      end)
    end
    S.signal('sigkill')
    T.wait(function()
      return #errors == 3
    end, 'the answers')
    T.eq({ -1, -1, -1 }, errors)
    -- What is asked meanwhile is answered by the next one.
    T.eq({}, asked('session/list').result.sessions)
    T.eq({ 'waiting', 'starting', 'ready' }, states)
    T.eq(3, #errors)
  end)

  it('is not started again when Neovim has ended it, but when it is needed', function()
    S.world({})
    local codex = server()
    asked('session/list')
    vim.lsp.stop_client(codex.process.client_id)
    T.wait(function()
      return codex.state == 'stopped'
    end, 'the end')
    T.eq({}, asked('session/list').result.sessions)
    T.eq('ready', codex.state)
  end)

  it('can be restarted, and its sessions go on', function()
    S.world({ S.text('hello') })
    local session = S.session()
    local events = S.events(session)
    session.server:restart()
    S.wait_event(events, 'disconnected')
    S.wait_event(events, 'reconnected')
    session:send(S.says('hi'))
    S.wait_event(events, 'task_complete')
  end)

  it('waits longer after each death, and gives up with an advice', function()
    S.world({}, {
      setup = {
        cmd = { 'sh', '-c', 'echo it is broken >&2; exit 3' },
        restart = { delay_ms = 20, max_delay_ms = 100 },
      },
    })
    local codex = server()
    local began = vim.uv.hrtime()
    local err = asked('session/list').err
    T.eq(-1, err.code)
    T.has('5 times in a row (exit code 3)', err.message)
    T.has(':CodexLog', err.message)
    T.has(':checkhealth codex', err.message)
    T.eq('failed', codex.state)
    -- 20 + 40 + 80 + 100
    T.eq(true, (vim.uv.hrtime() - began) / 1e6 >= 240)
    T.has('it is broken', S.read(require('codex.log').path()))
  end)

  it('tells a person that it was given up if nobody waits for an answer', function()
    local notices = S.notices()
    S.world({}, {
      setup = { cmd = { 'sh', '-c', 'exit 3' }, restart = { delay_ms = 1, max_delay_ms = 1 } },
    })
    server()
    local said = S.wait_notice(notices, 'The server ended 5 times in a row (exit code 3)')
    T.has(':checkhealth codex', said)
    T.eq(0, require('codex.server').running())
  end)

  it('says what to do if there is no program', function()
    S.world({}, { setup = { cmd = { 'no-such-codex-rpc' } } })
    local err = asked('session/list').err
    T.has('There is no `no-such-codex-rpc` that can be run', err.message)
    T.has('pip install codex-rpc', err.message)
    T.has('`cmd` in setup()', err.message)
  end)

  it('ends one that does not answer', function()
    local supervisor = require('codex.supervisor')
    local before = supervisor.START_TIMEOUT_MS
    supervisor.START_TIMEOUT_MS = 50
    S.on_clean(function()
      supervisor.START_TIMEOUT_MS = before
    end)
    S.world({}, {
      setup = { cmd = { 'sleep', '1000' }, restart = { delay_ms = 1, max_delay_ms = 1 } },
    })
    T.has('5 times in a row (it did not answer)', asked('session/list').err.message)
    T.eq(0, require('codex.server').running())
  end)

  it('is ended by force if it does not end when it is asked to', function()
    local supervisor = require('codex.supervisor')
    local before = supervisor.STOP_TIMEOUT_MS
    supervisor.STOP_TIMEOUT_MS = 50
    S.on_clean(function()
      supervisor.STOP_TIMEOUT_MS = before
    end)
    S.world({})
    local codex = server()
    asked('session/list')
    S.signal('sigstop')
    codex:stop()
    T.wait(function()
      return codex.state == 'stopped'
    end, 'its end')
    T.eq(0, require('codex.server').running())
  end)

  it('says that a program is not the one', function()
    local setup = { cmd = { 'yes' }, restart = { delay_ms = 1, max_delay_ms = 1 } }
    S.world({}, { setup = setup })
    T.has('what it writes is no JSON-RPC: y\ny', asked('session/list').err.message)
  end)

  it('says why a program cannot be run', function()
    local world = S.world({}, { files = { ['broken'] = '#!/no/such/python\n' } })
    local path = world.folder .. '/broken'
    vim.uv.fs_chmod(path, 493)
    require('codex').setup({ cmd = { path } })
    local err = asked('session/list').err
    T.has(('`%s` could not be started: ENOENT'):format(path), err.message)
    T.has(':checkhealth codex', err.message)
  end)

  it('ends with Neovim, in the middle of a turn too', function()
    local world = S.world({ S.text('beginning', S.hold()) })
    local child = require('child').start()
    child:lua([[require('codex.sessions_open').ensure(function(_, session)
      session:send({ { type = 'text', text = 'hi' } })
    end)]])
    T.wait(function()
      return #world.model:requests() == 1
    end, 'the turn')
    local pids = child:lua('return vim.api.nvim_get_proc_children(vim.fn.getpid())')
    T.eq(1, #pids)
    child:stop()
    T.wait(function()
      return vim.api.nvim_get_proc(pids[1]) == nil
    end, 'the end of the server')
  end)

  it('counts its deaths anew after a healthy life', function()
    local supervisor = require('codex.supervisor')
    local before = supervisor.HEALTHY_MS
    supervisor.HEALTHY_MS = 0
    S.on_clean(function()
      supervisor.HEALTHY_MS = before
    end)
    S.world({}, { setup = { restart = { delay_ms = 1 } } })
    local codex = server()
    for _ = 1, supervisor.MAX_DEATHS + 1 do
      T.wait(function()
        return codex.state == 'ready'
      end, 'the server')
      S.signal('sigkill')
      T.wait(function()
        return codex.state ~= 'ready'
      end, 'its end')
    end
    T.eq({}, asked('session/list').result.sessions)
  end)

  it('gets the environment that was set', function()
    S.world({ S.shell({ 'sh', '-c', 'echo "mark: $CODEX_MARK"' }), S.text('done') }, {
      setup = { env = { CODEX_MARK = 'here' } },
    })
    local session = S.session()
    local events = S.events(session)
    session:send(S.says('hi'))
    T.eq('mark: here\n', S.wait_event(events, 'exec_command_end').stdout)
  end)
end)
