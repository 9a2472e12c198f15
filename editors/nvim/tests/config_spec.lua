local S = require('support')

local function set(opts)
  local notices = S.notices()
  require('codex').setup(opts)
  S.on_clean(function()
    require('codex').setup({})
  end)
  return notices, require('codex.config')
end

describe('setup()', function()
  it('is optional, and takes a part of the options', function()
    local _, config = set({ chat = { position = 'bottom' }, cmd = { 'codex-rpc', '--oss' } })
    T.eq('bottom', config.get().chat.position)
    T.eq(5, config.get().chat.input_lines)
    T.eq({ 'codex-rpc', '--oss' }, config.get().cmd)
    T.eq({}, config.problems())
    require('codex').setup()
    T.eq({ 'codex-rpc' }, config.get().cmd)
  end)

  it('says once what is wrong, and leaves just that out', function()
    local notices, config = set({
      chat = { positon = 'left', input_lines = 'five' },
      picker = true,
      cmd = 'codex-rpc',
      follow = true,
      sessions = { picker = 'fzf' },
      restart = { delay_ms = -1 },
      env = { OPENAI_API_KEY = 1 },
    })
    local said = S.wait_notice(notices, 'setup()')
    T.has('`chat.positon` is no option; did you mean `chat.position`?', said)
    T.has('`chat.input_lines` has to be a number, and is "five"', said)
    T.has('`picker` is no option', said)
    T.has('`cmd` has to be a list of texts', said)
    T.has('`sessions.picker` has to be one of "auto", "telescope"', said)
    T.has('`restart.delay_ms` cannot be less than 0', said)
    T.has('`env` has to be texts by name; `OPENAI_API_KEY` is not', said)
    T.has(':help codex-options', said)
    T.eq(1, #notices)
    T.eq(7, #config.problems())
    T.eq(true, config.get().follow)
    T.eq('right', config.get().chat.position)
    T.eq({ 'codex-rpc' }, config.get().cmd)
  end)

  it('does not take what is no table', function()
    local notices = set('fast')
    S.wait_notice(notices, 'setup() takes a table')
  end)

  it('says what new sessions are', function()
    S.world({}, { setup = { session = { approvalPolicy = 'untrusted' }, patch_review = false } })
    local session = S.session()
    T.eq('untrusted', session.info.approvalPolicy)
    T.eq('on-request', S.session({ approvalPolicy = 'on-request' }).info.approvalPolicy)
  end)
end)

describe('the plugin', function()
  it('loads next to nothing when Neovim starts', function()
    local loaded = vim
      .system({
        vim.v.progpath,
        '--headless',
        '--clean',
        '-u',
        vim.fn.getcwd() .. '/tests/minimal_init.lua',
        '-c',
        'lua for name in vim.spairs(package.loaded) do '
          .. 'if name:find("^codex") then io.stdout:write(name, "\\n") end end',
        '-c',
        'qall!',
      }, { text = true })
      :wait(10000)
    T.eq('codex.commands\n', loaded.stdout)
  end)

  it('defines its commands, each with a description', function()
    local commands = vim.api.nvim_get_commands({})
    for name in
      (
        'Codex CodexNew CodexStop CodexApprove CodexSessions CodexResume CodexModel CodexPolicy '
        .. 'CodexDiff CodexLog'
      ):gmatch('%w+')
    do
      T.match('%w', (commands[name] or {}).definition)
    end
    T.eq({ 'untrusted' }, vim.fn.getcompletion('CodexPolicy unt', 'cmdline'))
  end)

  it('has a log that is opened at its end', function()
    S.world({})
    require('codex.log').write('first\nsecond')
    vim.cmd.CodexLog()
    T.match('^  second$', vim.api.nvim_get_current_line())
    T.eq(false, vim.bo.modifiable)
    T.has('codex.log', vim.api.nvim_buf_get_name(0))
  end)
end)

describe('an error', function()
  it('takes no key of a person who types, however long it is', function()
    S.world({})
    local child = require('child').start({ columns = 60, lines = 10 })
    child:type('i')
    child:lua([[require('codex.notify').error(('so long '):rep(40) .. '\n' .. 'and more')]])
    child:wait('_G.notices[1]')
    T.match('so long so long.* … :CodexLog$', child:lua('return vim.fn.execute("messages")'))
    child:type('text')
    T.eq({ 'text' }, child:lines())
    child:type('<Esc>')
    T.has('and more', S.read(child:lua([[return require('codex.log').path()]])))
  end)

  it('is as loud as its code', function()
    local errors = require('codex.errors')
    T.eq(vim.log.levels.ERROR, errors.level(1004))
    T.eq(vim.log.levels.WARN, errors.level(1002))
    T.eq(vim.log.levels.ERROR, errors.level(4711))
    T.eq('Error 4711', errors.name(4711))
  end)

  it('of the protocol is known', function()
    local schema = vim.json.decode(vim.system({ 'codex-rpc', 'schema' }):wait(10000).stdout)
    local errors = require('codex.errors')
    for name, code in pairs(schema.errorCodes) do
      if code > 0 then
        T.eq(name, errors.name(code))
      end
    end
  end)
end)
